"""Undo and redo: an annotator's last action taken back, or taken back again, by adding votes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.orm import aliased

from vigil.errors import Conflict
from vigil.labels import late
from vigil.labels.casting import fingerprints, save_rows
from vigil.labels.tables import REDONE, UNDONE, VoteTable
from vigil.labels.votes import Kind, Source

_Target = aliased(VoteTable)


def undo(connection: Connection, annotator: str, token: str) -> list[int]:
    """Take back everything of the annotator's last action that still stands.

    Args:
        connection: of a writing transaction.
        annotator: whose.
        token: the same twice is one undo.

    Returns:
        Ids of the retracting votes; empty where there is nothing to take back.

    Raises:
        Conflict: the token is another vote's.
    """
    before = _before(connection, annotator, token, redo=False)
    if before is not None:
        return before
    last = _last_action(connection, _decisions(annotator).where(~UNDONE))
    return _retract(connection, last, annotator, token, "undo")


def redo(connection: Connection, annotator: str, token: str) -> list[int]:
    """Take back the annotator's last undo, unless they have decided anything since.

    Args:
        connection: of a writing transaction.
        annotator: whose.
        token: the same twice is one redo.

    Returns:
        Ids of the votes that retract the undo; empty where there is none.

    Raises:
        Conflict: the token is another vote's.
    """
    before = _before(connection, annotator, token, redo=True)
    if before is not None:
        return before
    newest = select(func.max(_decisions(annotator).subquery().c.vote_id)).scalar_subquery()
    undos = (  # what arrived late gave way to a newer decision; no key brings it back
        select(VoteTable.__table__)
        .join(_Target, _Target.vote_id == VoteTable.retracts)
        .where(VoteTable.annotator == annotator, _Target.kind != Kind.RETRACT.value, ~REDONE)
        .where(VoteTable.vote_id > newest, VoteTable.reason != late.REASON)
    )
    return _retract(connection, _last_action(connection, undos), annotator, token, "redo")


def _decisions(annotator: str) -> Any:
    """Select what a person decided by hand; a file's import is no action to undo by a key."""
    return select(VoteTable.__table__).where(
        VoteTable.annotator == annotator,
        VoteTable.kind != Kind.RETRACT.value,
        VoteTable.source != Source.IMPORTED.value,
    )


def _last_action(connection: Connection, votes: Any) -> list[Row[Any]]:
    """Return the selected votes of the newest one's action, in the order of saving."""
    last = connection.execute(votes.order_by(VoteTable.vote_id.desc()).limit(1)).first()
    if last is None:
        return []
    whole = votes.where(VoteTable.action == last.action).order_by(VoteTable.vote_id)
    return list(connection.execute(whole))


def _before(connection: Connection, annotator: str, token: str, *, redo: bool) -> list[int] | None:
    """Return what this token did already, None where it is new."""
    rows = connection.execute(
        select(VoteTable, _Target.kind.label("of"))
        .outerjoin(_Target, _Target.vote_id == VoteTable.retracts)
        .where(VoteTable.action == token)
        .order_by(VoteTable.vote_id)
    ).all()
    mine = [row for row in rows if row.annotator == annotator and row.kind == Kind.RETRACT.value]
    if len(mine) < len(rows) or any((row.of == Kind.RETRACT.value) is not redo for row in mine):
        raise Conflict("undo: expected a token of its own, got a used one")
    return [row.vote_id for row in mine] or None


def _retract(
    connection: Connection, votes: list[Row[Any]], annotator: str, token: str, action: str
) -> list[int]:
    if not votes:
        return []
    cut = fingerprints(connection, (vote.clip_id for vote in votes))
    rows = [
        {
            "token": token if number == 0 else f"{token}/{number}",
            "action": token,
            "clip_id": vote.clip_id,
            "annotator": annotator,
            "kind": Kind.RETRACT.value,
            "reason": "",
            "track_ids": [],
            "source": Source.PERSON.value,
            "retracts": vote.vote_id,
            "fingerprint": cut[vote.clip_id],
        }
        for number, vote in enumerate(votes)
    ]
    return list(save_rows(connection, rows, action).values())
