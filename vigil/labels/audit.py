"""The audit log: who changed what, in the transaction that changed it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select

from vigil.labels.rows import AuditRow
from vigil.labels.tables import AuditTable


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return ago(0.0)


def ago(seconds: float) -> str:
    """Return the time of some seconds ago, as `now` writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def record(
    connection: Connection, actor: str, action: str, detail: Mapping[str, Any], at: str = ""
) -> None:
    """Write a row into the log, within the caller's transaction.

    Args:
        connection: of a writing transaction.
        actor: who did it.
        action: a word, e.g. `cast`.
        detail: of what; JSON values.
        at: when; empty means now.
    """
    row = {"at": at or now(), "actor": actor, "action": action, "detail": dict(detail)}
    connection.execute(insert(AuditTable).values(row))


def read(connection: Connection, limit: int, offset: int) -> list[AuditRow]:
    """Return rows of the log, newest first."""
    query = select(AuditTable.__table__).order_by(AuditTable.audit_id.desc())
    rows = connection.execute(query.limit(limit).offset(offset))
    return [AuditRow(**row._mapping) for row in rows]
