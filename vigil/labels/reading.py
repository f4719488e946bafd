"""Read votes: what they say under today's names, whether they stand, whether they are stale."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from vigil.labels.casting import chunks
from vigil.labels.classes import Renames
from vigil.labels.tables import ClipTable, VoteTable
from vigil.labels.votes import Kind, Source, Vote


def read_votes(
    connection: Connection, clip_ids: Collection[str] | None, annotator: str | None
) -> list[Vote]:
    """Return votes in the order of saving, undone ones and the undos themselves too.

    Args:
        connection: of a transaction.
        clip_ids: of these clips only.
        annotator: of this person only.
    """
    query = _query()
    if annotator is not None:
        query = query.where(VoteTable.annotator == annotator)
    rows: list[Row[Any]] = []
    if clip_ids is None:
        rows.extend(connection.execute(query))
    else:
        for some in chunks(sorted(set(clip_ids))):
            rows.extend(connection.execute(query.where(VoteTable.clip_id.in_(some))))
    return _votes(connection, rows)


def votes_by_id(connection: Connection, ids: Sequence[int]) -> list[Vote]:
    """Return the votes of these ids, in their order."""
    found: dict[int, Vote] = {}
    for some in chunks(ids):
        rows = connection.execute(_query().where(VoteTable.vote_id.in_(some)))
        found |= {vote.vote_id: vote for vote in _votes(connection, rows)}
    return [found[one] for one in ids]


def _query() -> Select[Any]:
    table = VoteTable.__table__
    columns = [column for column in table.c if column.name != "action"]
    now_cut = ClipTable.fingerprint.label("now_cut")
    return select(*columns, now_cut).join(ClipTable, ClipTable.clip_id == VoteTable.clip_id)


def _votes(connection: Connection, rows: Iterable[Row[Any]]) -> list[Vote]:
    renames = Renames.read(connection)
    found = []
    for row in rows:
        values = dict(row._mapping)
        stale = values.pop("now_cut") != values["fingerprint"]
        vote = Vote(
            **values
            | {
                "kind": Kind(values["kind"]),
                "source": Source(values["source"]),
                "track_ids": tuple(values["track_ids"]),
                "stale": stale,
            }
        )
        found.append(
            replace(
                vote,
                label=renames.name(vote.label, vote.vote_id),
                suggested=renames.name(vote.suggested, vote.vote_id),
            )
            if renames
            else vote
        )
    return sorted(found, key=lambda vote: vote.vote_id)
