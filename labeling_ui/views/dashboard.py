"""How far the project is: progress, pace, class balance, agreement, gold clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import streamlit as st

from labeling_ui.auth import Identity
from labeling_ui.classes import label_classes
from labeling_ui.service import running
from labeling_ui.views.blocks import bars, estimate, hours, table
from vigil.labels.agreement import Agreement, Estimate, OnGold, agreement
from vigil.labels.consensus import State, counts, settle
from vigil.labels.pace import Progress, progress
from vigil.labels.votes import Vote

_EVERY_S = 20
_STATES = {
    State.AGREED: "agreed", State.ADJUDICATED: "decided in review", State.DISPUTED: "disputed",
    State.PARTIAL: "begun", State.SKIPPED: "skipped", State.UNLABELED: "without a vote",
}  # fmt: skip
_STATE_COLORS = {"agreed": "#3d9a6a", "decided in review": "#4c78a8", "disputed": "#e4572e"}


def page(user: Identity) -> None:
    """Show the figures, anew every few seconds."""
    st.fragment(_figures, run_every=_EVERY_S)(user)


def _figures(user: Identity) -> None:
    service = running()
    store, classes = service.store, service.config.classes
    votes, settings = store.votes(), store.settings()
    clip_ids = [row.clip.clip_id for row in store.clips() if not row.retired]
    where = progress(votes, clip_ids, settings.k, datetime.now(UTC))
    verdicts = settle(votes, settings.consensus, settings.min_votes, clip_ids)
    there = {key: verdicts[key] for key in clip_ids}
    _headline(where, sum(one.label is not None for one in there.values()), len(clip_ids))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Clips")
        found = counts(there.values())
        bars({text: found.get(state, 0) for state, text in _STATES.items()}, _STATE_COLORS)
    with right:
        st.subheader("Labels")
        labels = Counter(one.label for one in there.values() if one.label is not None)
        names = list(dict.fromkeys([*classes, *labels]))
        colors = {one.name: one.color for one in label_classes(classes, settings)}
        bars({name: labels[name] for name in names}, colors)
    gold = store.gold()
    agreed = _agreement(votes, classes, gold, _key(votes, gold))
    _people(where, _on_gold(votes, gold, agreed, user), user)
    _agreement_of(agreed, user)


def _headline(where: Progress, labeled: int, clips: int) -> None:
    columns = st.columns(4)
    pace = sum(person.last_hour for person in where.people)
    share = f"{100 * labeled / clips:.0f} % of {clips}" if clips else "no clips"
    columns[0].metric("Clips with a label", labeled, share, delta_color="off", delta_arrow="off")
    columns[1].metric("Votes", f"{where.cast} of {where.wanted}")
    columns[2].metric("Votes in the last hour", pace)
    columns[3].metric("Time left at this pace", hours(where.hours_left))


@st.cache_data(show_spinner=False, max_entries=4)
def _agreement(
    _votes: Sequence[Vote], _classes: Sequence[str], _gold: Mapping[str, str],
    key: tuple[int, ...],
) -> Agreement:  # fmt: skip
    """Compute agreement once for the votes and gold clips that `key` stands for."""
    return agreement(_votes, _classes, _gold)


def _key(votes: Sequence[Vote], gold: Mapping[str, str]) -> tuple[int, ...]:
    """Return what changes with votes and gold clips; a rename gives old votes other labels."""
    last = votes[-1].vote_id if votes else 0
    labels = hash(tuple((vote.label, vote.suggested) for vote in votes))
    return last, labels, hash(frozenset(gold.items()))


def _on_gold(
    votes: Sequence[Vote], gold: Mapping[str, str], agreed: Agreement, user: Identity
) -> Mapping[str, OnGold]:
    """Return who was right on gold clips; for annotators as of this morning.

    A figure that moved with each vote would tell them which clips are gold, and what to answer.
    """
    if user.may("reviewer"):
        return agreed.everything.on_gold
    today = datetime.now(UTC).date().isoformat()
    before = [vote for vote in votes if vote.voted_at < today]
    agreed = _agreement(before, running().config.classes, gold, _key(before, gold))
    return agreed.everything.on_gold


def _people(where: Progress, gold: Mapping[str, OnGold], user: Identity) -> None:
    """Show each annotator's pace and accuracy; an annotator sees only their own accuracy."""
    st.subheader("Annotators")
    rows = [
        [
            person.name, str(person.clips), str(person.last_hour),
            "–" if person.per_hour is None else f"{person.per_hour:.0f}",
            "–" if person.seconds is None else f"{person.seconds:.1f} s",
            _gold_text(gold, person.name, user),
            person.last_at[:16].replace("T", " "),
        ]
        for person in where.people
    ]  # fmt: skip
    header = ["", "clips", "last hour", "per hour at work", "median time a clip",
              "right on gold clips" if user.may("reviewer") else "right on gold clips until today",
              "last vote (UTC)"]  # fmt: skip
    table(header, rows, "Nobody has voted yet.")


def _gold_text(gold: Mapping[str, OnGold], name: str, user: Identity) -> str:
    if name not in gold or not (user.may("reviewer") or user.name == name):
        return "–"
    return estimate(gold[name].accuracy)


def _agreement_of(agreed: Agreement, user: Identity) -> None:
    st.subheader("Agreement")
    figures = agreed.independent
    st.caption(
        f"{figures.shared} clips judged by two or more without taking a suggestion. 1 is perfect "
        "agreement, 0 what chance gives; in brackets 95 % intervals. "
        f"{agreed.accepted} votes took a suggestion; with them Fleiss' kappa is "
        f"{estimate(agreed.everything.fleiss)}."
    )
    st.markdown(f"Fleiss' kappa of all annotators: **{estimate(figures.fleiss)}**")
    columns = st.columns(3, gap="large")
    with columns[0]:
        _kappas("class", {name: estimate(one) for name, one in figures.per_class.items()})
    with columns[1]:
        _kappas("two classes", _paired(figures.class_pairs))
    with columns[2]:
        if user.may("reviewer"):
            _kappas("two annotators (Cohen)", _paired(figures.pairs))


def _paired(found: Mapping[tuple[str, str], Estimate]) -> dict[str, str]:
    return {f"{a} – {b}": estimate(one) for (a, b), one in found.items()}


def _kappas(what: str, rows: Mapping[str, str]) -> None:
    table([what, "kappa"], [[name, text] for name, text in rows.items()], f"No {what} yet.")
