"""Who labels which clip next: k annotators each, in an order, with known clips mixed in.

A clip is covered by an annotator whose vote on it stands and is not stale. It is open to somebody
while fewer than k people cover it or have it on lease, they themselves do not, and no reviewer has
decided it. A lease ends with its time, so that a closed tab holds nobody up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, delete, insert, select

from vigil.config import LabelingSection
from vigil.labels.casting import chunks
from vigil.labels.clips_sync import as_clip_row
from vigil.labels.coverage import Coverage, read_coverage
from vigil.labels.database import Database
from vigil.labels.rows import ClipRow
from vigil.labels.tables import ClipTable, LeaseTable

_PLACE_S = 0.001  # leases end one after the other, so that they keep the order of the clips


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
        state = read_coverage(connection, None)
    ranked = _ranked(state, annotator, settings, scores)
    with database.writing() as connection:
        connection.execute(delete(LeaseTable).where(LeaseTable.until <= time.time()))
        chosen = state.mine(annotator)[:n]
        chosen = _still_mine(connection, annotator, chosen)
        while len(chosen) < n and (some := list(islice(ranked, 4 * n))):
            fresh = read_coverage(connection, some)
            free = [clip for clip in some if fresh.open_to(annotator, clip, settings.k)]
            chosen += free[: n - len(chosen)]
        _lease(connection, annotator, chosen, time.time() + settings.lease_s)
        return _rows(connection, chosen)


def _ranked(
    state: Coverage, annotator: str, settings: LabelingSection, scores: Mapping[str, float]
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


def _still_mine(connection: Connection, annotator: str, clips: Sequence[str]) -> list[str]:
    mine = set(read_coverage(connection, clips).mine(annotator)) if clips else set()
    return [clip for clip in clips if clip in mine]


def _lease(connection: Connection, annotator: str, clips: Sequence[str], until: float) -> None:
    places = iter(range(len(clips)))
    for some in chunks(clips):
        mine = (LeaseTable.annotator == annotator, LeaseTable.clip_id.in_(some))
        connection.execute(delete(LeaseTable).where(*mine))
        rows = [
            {"clip_id": clip, "annotator": annotator, "until": until + _PLACE_S * next(places)}
            for clip in some
        ]
        connection.execute(insert(LeaseTable), rows)


def _rows(connection: Connection, clips: Sequence[str]) -> list[ClipRow]:
    found: dict[str, ClipRow] = {}
    for some in chunks(clips):
        query = select(ClipTable.__table__).where(ClipTable.clip_id.in_(some))
        for row in connection.execute(query):
            found[row.clip_id] = as_clip_row(row._mapping)
    return [found[clip] for clip in clips]
