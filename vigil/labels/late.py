"""Votes that were decided before another one and arrive after it.

A browser keeps what it cannot send, also when it is closed, and sends it when it can: perhaps after
its owner has decided the same clip anew elsewhere. Such a late vote is saved like any other, and
taken back in the same transaction: the newer decision goes on standing, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from vigil.labels.tables import UNDONE, VoteTable
from vigil.labels.votes import Draft, Kind, Source

REASON = "arrived after a newer decision"
_WHEN = case((VoteTable.decided_at != "", VoteTable.decided_at), else_=VoteTable.voted_at)


def find_late(connection: Connection, drafts: Sequence[Draft]) -> list[Draft]:
    """Return the drafts that are older than a decision which stands in their place.

    Only those that say when they were decided can be late. A vote gives way to newer votes of its
    annotator, a reviewer's decision to newer decisions of any reviewer.

    Args:
        connection: of a writing transaction, before the drafts are saved.
        drafts: new ones.
    """
    return [one for one in drafts if one.decided_at and one.decided_at < _newest(connection, one)]


def retractions(late: Sequence[Draft], ids: dict[str, int]) -> list[dict[str, Any]]:
    """Return the rows that take late votes back, of one annotator or several.

    Args:
        late: saved drafts.
        ids: of their votes, by token.
    """
    return [
        {
            "token": f"{draft.token}/late",
            "action": f"{draft.token}/late",
            "clip_id": draft.clip_id,
            "annotator": draft.annotator,
            "kind": Kind.RETRACT.value,
            "reason": REASON,
            "track_ids": [],
            "source": Source.PERSON.value,
            "retracts": ids[draft.token],
        }
        for draft in late
    ]


def _newest(connection: Connection, draft: Draft) -> str:
    """Return when the newest standing decision in a draft's place was made, empty for none."""
    place: list[ColumnElement[bool]] = [VoteTable.clip_id == draft.clip_id, ~UNDONE]
    if draft.kind is Kind.ADJUDICATE:
        place.append(VoteTable.kind == Kind.ADJUDICATE.value)
    else:
        place.append(VoteTable.kind.not_in([Kind.ADJUDICATE.value, Kind.RETRACT.value]))
        place.append(VoteTable.annotator == draft.annotator)
    return connection.execute(select(func.max(_WHEN)).where(*place)).scalar() or ""
