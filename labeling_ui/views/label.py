"""Labeling: the clips of one video, or those that are next in one's queue."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.service import running
from labeling_ui.views.surface import surface
from vigil.errors import NotFound
from vigil.labels.rows import VideoRow


def page(user: Identity) -> None:
    """Show the clips of the video that the address names, else of the last or the first one."""
    wanted = st.query_params.get("video", "")
    video = _video(wanted) if wanted else _last()
    if video is None and wanted:
        st.warning("There is no such video, or it has no clips any more.")
        st.page_link(st.session_state["pages"]["videos"], label="All videos")
        return
    if video is None:
        st.info("There are no clips yet: `dvc repro clips` cuts them.")
        return
    st.session_state["video"] = video.key
    if st.query_params.get("video") != video.key:
        st.query_params["video"] = video.key
    above = st.container()
    if surface("video", video.video_id, video.key, st.query_params.get("clip", "")):
        _finished(above, video, user)


def queue(user: Identity) -> None:
    """Show the clips that are dealt to this person."""
    surface("queue", "Your queue")


def _video(key: str) -> VideoRow | None:
    try:
        return running().store.video_by_key(key)
    except NotFound:
        return None


def _last() -> VideoRow | None:
    """Return the video of before, else the first one."""
    return _video(st.session_state.get("video", "")) or next(iter(running().store.videos()), None)


def _finished(place: st.delta_generator.DeltaGenerator, video: VideoRow, user: Identity) -> None:
    """Offer the next video after this one that lacks votes of this person."""
    store = running().store
    owner = {row.clip.clip_id: row.clip.video_id for row in store.clips() if not row.retired}
    votes = store.votes(annotator=user.name, standing=True)
    mine = Counter(owner.get(clip) for clip in {vote.clip_id for vote in votes})
    videos = store.videos()
    here = next((n for n, one in enumerate(videos) if one.key == video.key), -1)
    order = [*videos[here + 1 :], *videos[: max(here, 0)]]
    following = next((one for one in order if mine[one.video_id] < one.n_clips), None)
    with place.container(border=True, horizontal=True, vertical_alignment="center"):
        st.write(":material/check_circle: Every clip of this video has your label.")
        if following is None:
            st.write("So has every other video.")
        else:
            st.button("Next video", type="primary", icon=":material/arrow_forward:",
                      on_click=_go, args=(following.key,))  # fmt: skip


def _go(video: str) -> None:
    st.session_state["video"] = video
    st.query_params.clear()
