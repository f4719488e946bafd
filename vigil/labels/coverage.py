"""Who has voted on which clip, and for whom it is kept: the ground of queue and progress."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from vigil.labels.casting import chunks
from vigil.labels.tables import ClipTable, GoldTable, LeaseTable, VoteTable
from vigil.labels.votes import Kind


@dataclass
class Coverage:
    """Who has voted on what at one moment.

    Attributes:
        clips: ids of the clips that are cut now, sorted.
        gold: those whose label is known.
        covered: by clip, whose vote stands and is not stale.
        leased: by clip, for whom it is kept and until when, in seconds of the epoch.
        decided: clips that a reviewer has decided.
    """

    clips: list[str]
    gold: set[str]
    covered: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    leased: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    decided: set[str] = field(default_factory=set)

    def mine(self, annotator: str) -> list[str]:
        """Return what the annotator has on lease and has not voted on, as it was given."""
        kept = [
            clip
            for clip in self.clips
            if annotator in self.leased[clip] and annotator not in self.covered[clip]
        ]
        return sorted(kept, key=lambda clip: self.leased[clip][annotator])

    def open_to(self, annotator: str, clip: str, k: int) -> bool:
        """Say whether the annotator may be given the clip."""
        taken = self.covered[clip] | set(self.leased[clip])
        if annotator in taken:
            return False
        return clip in self.gold or (clip not in self.decided and len(taken) < k)


def read_coverage(connection: Connection, clip_ids: Sequence[str] | None) -> Coverage:
    """Read it for these clips, or for all."""
    if clip_ids is None:
        return _read_some(connection, None)
    whole = Coverage([], set())
    for some in chunks(clip_ids):
        part = _read_some(connection, some)
        whole.clips += part.clips
        whole.gold |= part.gold
        whole.covered |= part.covered
        whole.leased |= part.leased
        whole.decided |= part.decided
    return whole


def _read_some(connection: Connection, some: Sequence[str] | None) -> Coverage:
    def only(column: InstrumentedAttribute[str]) -> list[ColumnElement[bool]]:
        return [] if some is None else [column.in_(some)]

    clips = select(ClipTable.clip_id).where(~ClipTable.retired, *only(ClipTable.clip_id))
    gold = select(GoldTable.clip_id).where(*only(GoldTable.clip_id))
    state = Coverage(
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
        else:
            state.covered[clip].add(person)
    leases = select(LeaseTable.clip_id, LeaseTable.annotator, LeaseTable.until).where(
        LeaseTable.until > time.time(), *only(LeaseTable.clip_id)
    )
    for clip, person, until in connection.execute(leases):
        state.leased[clip][person] = until
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


@dataclass(frozen=True)
class Progress:
    """How far a video is.

    Attributes:
        mine: clips with a standing vote of the annotator that is not stale.
        done: clips that enough people have voted on, or a reviewer has decided.
    """

    mine: int = 0
    done: int = 0


def read_progress(connection: Connection, annotator: str, k: int) -> dict[str, Progress]:
    """Return how far each video with clips is.

    Args:
        connection: of a transaction.
        annotator: whose clips are counted.
        k: how many people are enough.
    """
    now = read_coverage(connection, None)
    videos = select(ClipTable.video_id, ClipTable.clip_id).where(~ClipTable.retired)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for video, clip in connection.execute(videos):
        people = now.covered.get(clip, set())
        counts[video][0] += annotator in people
        counts[video][1] += len(people) >= k or clip in now.decided
    return {video: Progress(*both) for video, both in counts.items()}
