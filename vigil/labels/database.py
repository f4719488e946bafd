"""The connection to the store's database: what is acknowledged is on disk, or an error is raised.

SQLite runs in WAL mode with `synchronous=FULL`; writers queue up one behind the other from their
first statement on (`BEGIN IMMEDIATE`, in PostgreSQL an advisory lock), so that ids of votes ascend
in the order of their commits and nothing is decided on what somebody else is just changing.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from vigil.errors import InputError, StoreError, StoreFull

BUSY_MS = 30_000
_LOCK = 0x766967696C  # "vigil": number of the advisory lock
_SQLITE_FULL, _SQLITE_IOERR = 13, 10
_POSTGRES_FULL = "53100"
_ROOM = 1 << 20  # bytes: with less, an I/O error of SQLite is the disk's being full


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite database at `path`."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string(False)


class Database:
    """An engine, and the two ways to use it; safe to share between threads.

    Args:
        url: of SQLAlchemy, e.g. `sqlite:////folder/labels.db`.

    Raises:
        InputError: not a URL of a database that can be had here.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            self.engine = _engine(self.url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise InputError(f"labels: expected the URL of a database, got {error}") from error
        self._writing = threading.Lock()

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a server."""
        return Path(self.url.database or "") if self.url.get_backend_name() == "sqlite" else None

    @property
    def name(self) -> str:
        """The database for messages, without a password."""
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the store, whatever others write meanwhile.

        Raises:
            StoreError: the database failed.
        """
        with self.errors(), self.engine.connect() as connection:
            if self.file is None:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that alone writes; commit when the block ends without error.

        Raises:
            StoreFull: no room is left; nothing was saved.
            StoreError: the database failed; nothing was saved.
        """
        with self.errors(), self._writing, self.engine.connect() as connection:
            connection = connection.execution_options(vigil_writes=True)
            with connection.begin():
                if self.file is None:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
                yield connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what the database raises as one line that says whether the disk is full."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            if self._is_full(error):
                raise StoreFull(
                    f"labels: {self.name}: expected room for labels, got a full disk"
                ) from error
            text = " ".join(str(_cause(error)).split())
            raise StoreError(
                f"labels: {self.name}: expected a working store, got: {text}"
            ) from error

    def _is_full(self, error: Exception) -> bool:
        cause = _cause(error)
        if self.file is None:
            return getattr(cause, "sqlstate", None) == _POSTGRES_FULL
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code == _SQLITE_FULL or (code == _SQLITE_IOERR and _free(self.file) < _ROOM)


def _cause(error: Exception) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _free(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _ROOM


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_size=16, max_overflow=32, pool_pre_ping=True)
    path = Path(url.database or "")
    if not path.name or url.database == ":memory:":
        raise InputError("labels: expected the path of a SQLite file, got none")
    engine = create_engine(url, pool_size=16, max_overflow=32)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Leave transactions to us, and take no word for saved that a power cut could undo."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("vigil_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def make_folder(path: Path) -> None:
    """Make the folder of a store's file.

    Raises:
        InputError: it cannot be made.
        StoreFull: no room is left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StoreFull(f"labels: {path}: expected room, got a full disk") from error
        raise InputError(
            f"labels: {path.parent}: expected a folder that can be made, got {error.strerror}"
        ) from error
