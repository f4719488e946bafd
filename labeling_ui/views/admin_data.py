"""Classes, gold clips, backup and the audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.service import running
from labeling_ui.views.blocks import table

_ROWS = 50
_LONGEST = 200  # characters of a row's detail


def classes(user: Identity) -> None:
    """Rename or merge classes: a preview first, then the migration."""
    service = running()
    st.caption("A rename is recorded and applied when votes are read; no vote is rewritten. "
               "Two old names with one new name are merged. "
               "Then give “classes” in params.yaml the new names.")  # fmt: skip
    names = list(dict.fromkeys([*service.config.classes, *_named()]))
    with st.form("rename", border=False):
        entered = {name: st.text_input(name, name, key=f"rename-{name}") for name in names}
        shown = st.form_submit_button("Preview")
    mapping = {old: new.strip() for old, new in entered.items() if new.strip() != old}
    if shown:
        st.session_state["renaming"] = mapping
    if not mapping or st.session_state.get("renaming") != mapping:
        return
    preview = service.store.rename_preview(mapping)
    table(["class", "votes now", "votes after"],
          [[one.label, str(one.before), str(one.after)] for one in preview], "")  # fmt: skip
    if st.button("Rename", type="primary"):
        service.store.rename(mapping, user.name)
        del st.session_state["renaming"]
        st.success("Renamed.")


def _named() -> list[str]:
    votes = running().store.votes(standing=True)
    return sorted({vote.label for vote in votes if vote.label is not None})


def gold(user: Identity) -> None:
    """Say of which clips the label is known; the queue mixes them in to measure annotators."""
    service = running()
    known = service.store.gold()
    st.caption(f"{len(known)} gold clips. They look like any other clip to annotators.")
    videos = {row.video_id: row for row in service.store.videos()}
    if not videos:
        return
    columns = st.columns([2, 2, 1, 1], vertical_alignment="bottom")
    video = columns[0].selectbox("Video", list(videos))
    rows = [row for row in service.store.clips(video) if not row.retired]
    texts = {row.clip.clip_id: f"{row.clip.start_s:g} – {row.clip.end_s:g} s" for row in rows}
    clip = columns[1].selectbox("Clip", list(texts), format_func=lambda key: texts[key])
    label = columns[2].selectbox("Label", service.config.classes)
    if columns[3].button("Make it gold", type="primary") and clip:
        service.store.set_gold(clip, label, user.name)
        st.rerun()
    table(["clip", "label"], [[key, value] for key, value in sorted(known.items())],
          "None yet.", text=True)  # fmt: skip
    if known:
        gone = st.selectbox("Gold no more", sorted(known), index=None)
        if gone and st.button("Take it out"):
            service.store.set_gold(gone, None, user.name)
            st.rerun()


def backup(user: Identity) -> None:
    """Write a copy of the store, and check it for damage."""
    service = running()
    folder = service.paths.labeling / "backups"
    st.caption(f"Copies go to {folder}; people may go on labeling meanwhile.")
    buttons = st.container(horizontal=True)
    if buttons.button("Back up now", type="primary"):
        path = folder / f"labels-{datetime.now(UTC):%Y%m%d-%H%M%S}.db"
        folder.mkdir(parents=True, exist_ok=True)
        service.store.backup(path)
        service.store.record(user.name, "backup", {"file": path.name})
        st.success(f"Written: {path.name}, {path.stat().st_size / 1e6:.1f} MB.")
    if buttons.button("Check the store"):
        problems = service.store.check()
        if problems:
            st.error("\n\n".join(problems))
        else:
            st.success("The store is whole.")
    found = sorted(folder.glob("*.db"), reverse=True)
    table(["file", "MB"], [[one.name, f"{one.stat().st_size / 1e6:.1f}"] for one in found],
          "No backup yet.", text=True)  # fmt: skip


def audit(user: Identity) -> None:
    """Show who changed what, newest first, page by page."""
    page = int(st.number_input("Page", 1, 1_000_000, 1))
    rows = running().store.audit(_ROWS, (page - 1) * _ROWS)
    cells = [
        [row.at[:19].replace("T", " "), row.actor, row.action,
         _short(json.dumps(row.detail, ensure_ascii=False))]
        for row in rows
    ]  # fmt: skip
    table(["time (UTC)", "who", "what", "detail"], cells, "Nothing on this page.", text=True)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
