"""Bring a store's schema up to what this version knows; never down, and never without a copy."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from vigil.errors import StoreError
from vigil.labels.backup import copy_sqlite
from vigil.labels.database import Database, make_folder

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Database, revision: str = "head") -> None:
    """Make or upgrade the tables; an existing SQLite file is copied beside itself first.

    Args:
        database: of any age.
        revision: how far; everything but tests goes to the newest.

    Raises:
        StoreError: a newer vigil made it, or it cannot be opened or upgraded.
    """
    if database.file is not None:
        make_folder(database.file)
        _use_wal(database)
    with database.reading() as connection:
        if version(connection) == head():
            return
    with database.writing() as connection:  # one at a time: another may be upgrading it just now
        before = version(connection)
        if before == head():
            return
        _refuse_newer(database, before)
        if database.file is not None and before is not None:
            copy_sqlite(database, database.file.with_name(f"{database.file.name}.{before}.backup"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def version(connection: Connection) -> str | None:
    """Return the schema's version, None where there are no tables."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """Return the newest version that this vigil knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _refuse_newer(database: Database, found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"labels: {database.name}: expected a schema up to {head()}, got {found}: "
            "a newer vigil made it"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _use_wal(database: Database) -> None:
    with database.errors():
        raw = database.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            row = cursor.fetchone()
        finally:
            raw.close()
    mode = row[0] if row else "none"
    if mode != "wal":
        raise StoreError(
            f"labels: {database.name}: expected a file system that carries SQLite's WAL, "
            f"got journal mode {mode}"
        )
