"""Save votes: each token once, all of a call or none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, insert, select

from vigil.errors import Conflict, NotFound
from vigil.labels.audit import now, record
from vigil.labels.late import find_late, retractions
from vigil.labels.tables import ClipTable, VoteTable
from vigil.labels.votes import Draft

_Value = TypeVar("_Value", str, int)
_CHUNK = 500  # values in one IN, far below every database's limit


def cast(connection: Connection, drafts: Sequence[Draft]) -> list[int]:
    """Save checked drafts; a token that is already there is the same vote once.

    Args:
        connection: of a writing transaction.
        drafts: with distinct tokens.

    Returns:
        Ids of the drafts' votes, in their order.

    Raises:
        NotFound: a clip that the store never had.
        Conflict: a token that another vote has.
    """
    known = _known(connection, [draft.token for draft in drafts])
    for draft in drafts:
        if draft.token in known and not _same(known[draft.token], draft):
            raise Conflict(f"vote: {draft.clip_id}: expected a token of its own, got a used one")
    new = [draft for draft in drafts if draft.token not in known]
    ids = {token: row.vote_id for token, row in known.items()} | _save(connection, new)
    return [ids[draft.token] for draft in drafts]


def fingerprints(connection: Connection, clip_ids: Iterable[str]) -> dict[str, str]:
    """Return the clips' fingerprints as they are cut now.

    Raises:
        NotFound: a clip that the store never had.
    """
    wanted = set(clip_ids)
    found: dict[str, str] = {}
    for some in chunks(sorted(wanted)):
        query = select(ClipTable.clip_id, ClipTable.fingerprint).where(ClipTable.clip_id.in_(some))
        found |= {row.clip_id: row.fingerprint for row in connection.execute(query)}
    missing = sorted(wanted - set(found))
    if missing:
        raise NotFound(f"vote: {missing[0]!r:.100}: expected a clip of this project, got none")
    return found


def chunks(values: Iterable[_Value]) -> Iterable[list[_Value]]:
    """Yield the values in lists that one `IN` can hold."""
    rest = iter(values)
    while some := list(islice(rest, _CHUNK)):
        yield some


def _known(connection: Connection, tokens: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for some in chunks(tokens):
        query = select(VoteTable.__table__).where(VoteTable.token.in_(some))
        found |= {row.token: row for row in connection.execute(query)}
    return found


def _same(row: Row[Any], draft: Draft) -> bool:
    said = _columns(draft)
    del said["decided_at"]  # reckoned anew from its age each time it is sent
    return all(row._mapping[name] == value for name, value in said.items())


def _columns(draft: Draft) -> dict[str, Any]:
    values = asdict(draft)
    return values | {
        "kind": draft.kind.value,
        "source": draft.source.value,
        "track_ids": list(draft.track_ids),
    }


def _save(connection: Connection, drafts: Sequence[Draft]) -> dict[str, int]:
    if not drafts:
        return {}
    cut = fingerprints(connection, (draft.clip_id for draft in drafts))
    first: dict[str, str] = {}
    for draft in drafts:
        first.setdefault(draft.annotator, draft.token)
    rows = [
        _columns(draft) | {"fingerprint": cut[draft.clip_id], "action": first[draft.annotator]}
        for draft in drafts
    ]
    late = find_late(connection, drafts)
    ids = save_rows(connection, rows, "cast")
    back = [row | {"fingerprint": cut[row["clip_id"]]} for row in retractions(late, ids)]
    save_rows(connection, back, "late")
    return ids


def save_rows(
    connection: Connection, rows: Sequence[Mapping[str, Any]], action: str
) -> dict[str, int]:
    """Add rows to the votes and, per annotator, one to the audit log.

    Args:
        connection: of a writing transaction.
        rows: columns of the table but id and time.
        action: for the audit log.

    Returns:
        Id by token.
    """
    at = now()
    ids: dict[str, int] = {}
    of: dict[str, list[int]] = {}
    for row in rows:
        done = connection.execute(insert(VoteTable).values(**row, voted_at=at))
        key = done.inserted_primary_key
        ids[row["token"]] = int(key[0]) if key else 0
        of.setdefault(row["annotator"], []).append(ids[row["token"]])
    for annotator, votes in of.items():
        record(connection, annotator, action, {"votes": votes}, at)
    return ids
