"""Who labels which clip next: k annotators each, in an order, with known clips mixed in.

A clip is covered by an annotator whose vote on it stands and is not stale. It is open to somebody
while fewer than k people cover it or have it on lease, they themselves do not, and no reviewer has
decided it. A lease ends with its time, so that a closed tab holds nobody up.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from vigil.config import LabelingSection
from vigil.labels.casting import chunks
from vigil.labels.clips_sync import as_clip_row
from vigil.labels.database import Database
from vigil.labels.rows import ClipRow
from vigil.labels.tables import ClipTable, GoldTable, LeaseTable, VoteTable
from vigil.labels.votes import Kind


@dataclass
class _State:
    """What is known of the clips at one moment, by clip id."""

    clips: list[str]
    gold: set[str]
    covered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    leased: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    decided: set[str] = field(default_factory=set)

    def mine(self, annotator: str) -> list[str]:
        """Return what the annotator has on lease and has not voted on."""
        return [
            clip
            for clip in self.clips
            if annotator in self.leased[clip] and annotator not in self.covered[clip]
        ]

    def open_to(self, annotator: str, clip: str, k: int) -> bool:
        """Say whether the annotator may be given the clip."""
        taken = self.covered[clip] | self.leased[clip]
        if annotator in taken:
            return False
        return clip in self.gold or (clip not in self.decided and len(taken) < k)


def assign(
    database: Database,
    annotator: str,
    n: int,
    settings: LabelingSection,
    scores: Mapping[str, float],
) -> list[ClipRow]:
    """Give an annotator clips to label, those they have on lease first, and renew the leases.

    The ranking reads without a lock; only what is about to be given is looked at again while
    nobody else writes.

    Args:
        database: of the store.
        annotator: who asks.
        n: how many clips.
        settings: k, order, share of gold clips, length of a lease, seed.
        scores: by clip id, higher ones first; not read in the order `chance`.

    Returns:
        At most n clips.
    """
    with database.reading() as connection:
        state = _read(connection, None)
    ranked = _ranked(state, annotator, settings, scores)
    with database.writing() as connection:
        connection.execute(delete(LeaseTable).where(LeaseTable.until <= time.time()))
        chosen = state.mine(annotator)[:n]
        chosen = _still_mine(connection, annotator, chosen)
        while len(chosen) < n and (some := list(islice(ranked, 4 * n))):
            fresh = _read(connection, some)
            free = [clip for clip in some if fresh.open_to(annotator, clip, settings.k)]
            chosen += free[: n - len(chosen)]
        _lease(connection, annotator, chosen, time.time() + settings.lease_s)
        return _rows(connection, chosen)


def _ranked(
    state: _State, annotator: str, settings: LabelingSection, scores: Mapping[str, float]
) -> Iterator[str]:
    """Yield what is open to the annotator: their order, with gold clips at random places."""
    free = [clip for clip in state.clips if state.open_to(annotator, clip, settings.k)]

    def chance(clip: str) -> float:
        return _uniform(settings.seed, annotator, clip)

    by_chance = sorted(free, key=chance)
    gold = [clip for clip in by_chance if clip in state.gold]
    rest = [clip for clip in by_chance if clip not in state.gold]
    if settings.order != "chance":
        rest.sort(key=lambda clip: -scores.get(clip, float("-inf")))
    place = sum(annotator in people for people in state.covered.values())
    place += len(state.mine(annotator))
    while rest:
        is_gold = _uniform(settings.seed, annotator, f"place {place}") < settings.gold_share
        yield gold.pop(0) if gold and is_gold else rest.pop(0)
        place += 1


def _uniform(seed: int, annotator: str, what: str) -> float:
    """Return a number in [0, 1) that looks random and is the same each time."""
    text = f"{seed}\n{annotator}\n{what}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64


def _read(connection: Connection, clip_ids: Sequence[str] | None) -> _State:
    """Read the state of these clips, or of all."""
    if clip_ids is None:
        return _read_some(connection, None)
    whole = _State([], set())
    for some in chunks(clip_ids):
        part = _read_some(connection, some)
        whole.clips += part.clips
        whole.gold |= part.gold
        whole.covered |= part.covered
        whole.leased |= part.leased
        whole.decided |= part.decided
    return whole


def _read_some(connection: Connection, some: Sequence[str] | None) -> _State:
    def only(column: InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
        return [] if some is None else [column.in_(some)]

    clips = select(ClipTable.clip_id).where(~ClipTable.retired, *only(ClipTable.clip_id))
    gold = select(GoldTable.clip_id).where(*only(GoldTable.clip_id))
    state = _State(
        list(connection.execute(clips.order_by(ClipTable.clip_id)).scalars()),
        set(connection.execute(gold).scalars()),
    )
    newest = _newest(only(VoteTable.clip_id)).subquery()
    votes = (
        select(VoteTable.clip_id, VoteTable.annotator, VoteTable.kind)
        .join(newest, newest.c.vote_id == VoteTable.vote_id)
        .join(ClipTable, ClipTable.clip_id == VoteTable.clip_id)
        .where(ClipTable.fingerprint == VoteTable.fingerprint)
    )
    for clip, person, kind in connection.execute(votes):
        if kind == Kind.ADJUDICATE.value:
            state.decided.add(clip)
        state.covered[clip].add(person)
    leases = select(LeaseTable.clip_id, LeaseTable.annotator).where(
        LeaseTable.until > time.time(), *only(LeaseTable.clip_id)
    )
    for clip, person in connection.execute(leases):
        state.leased[clip].add(person)
    return state


def _newest(where: Iterable[ColumnElement[bool]]) -> Select[Any]:
    """Select the newest vote, per clip, annotator and kind of say, that is not undone."""
    undo, redo = aliased(VoteTable), aliased(VoteTable)
    undone = (
        select(undo.retracts)
        .outerjoin(redo, redo.retracts == undo.vote_id)
        .where(undo.retracts.is_not(None), redo.vote_id.is_(None))
    )
    adjudicates = VoteTable.kind == Kind.ADJUDICATE.value
    return (
        select(func.max(VoteTable.vote_id).label("vote_id"))
        .where(VoteTable.kind != Kind.RETRACT.value, VoteTable.vote_id.not_in(undone), *where)
        .group_by(VoteTable.clip_id, VoteTable.annotator, adjudicates)
    )


def _still_mine(connection: Connection, annotator: str, clips: Sequence[str]) -> list[str]:
    mine = set(_read(connection, clips).mine(annotator)) if clips else set()
    return [clip for clip in clips if clip in mine]


def _lease(connection: Connection, annotator: str, clips: Sequence[str], until: float) -> None:
    for some in chunks(clips):
        mine = (LeaseTable.annotator == annotator, LeaseTable.clip_id.in_(some))
        connection.execute(delete(LeaseTable).where(*mine))
        rows = [{"clip_id": clip, "annotator": annotator, "until": until} for clip in some]
        connection.execute(insert(LeaseTable), rows)


def _rows(connection: Connection, clips: Sequence[str]) -> list[ClipRow]:
    found: dict[str, ClipRow] = {}
    for some in chunks(clips):
        query = select(ClipTable.__table__).where(ClipTable.clip_id.in_(some))
        for row in connection.execute(query):
            found[row.clip_id] = as_clip_row(row._mapping)
    return [found[clip] for clip in clips]
