"""Copies of a SQLite store, taken while people label."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from vigil.errors import InputError, StoreError
from vigil.files import atomic, flush
from vigil.labels.database import Database


def copy_sqlite(database: Database, target: Path) -> None:
    """Write one state of the whole store to `target`: complete, checked and on disk, or not at all.

    Args:
        database: may be in use.
        target: replaced when it exists.

    Raises:
        InputError: the store is no SQLite file, or `target` is the store itself.
        StoreError: it cannot be read or written.
    """
    source = database.file
    if source is None:
        raise InputError(f"labels: {database.name}: expected SQLite; use pg_dump for PostgreSQL")
    if target.resolve() == source.resolve():
        raise InputError(f"labels: {target}: expected a place apart from the store itself")
    try:
        with atomic(target) as partial:
            _copy(source, partial)
            flush(partial)
        flush(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"labels: {target}: expected room for a backup, got: {error}") from error


def _copy(source: Path, partial: Path) -> None:
    uri = f"{source.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True)) as origin,
        closing(sqlite3.connect(partial)) as copy,
    ):
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        (found,) = copy.execute("PRAGMA integrity_check").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
