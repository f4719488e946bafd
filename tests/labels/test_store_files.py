"""The store's file: grown up from old versions, refused from newer ones, copied, checked."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tests.labels.stores import clips, draft, filled, labeling, open_sqlite
from vigil.errors import InputError, StoreError
from vigil.labels.backup import copy_sqlite
from vigil.labels.database import Database, sqlite_url
from vigil.labels.migrating import head, migrate, version
from vigil.labels.store import LabelStore
from vigil.labels.tables import APPEND_ONLY, Base


def old_store(folder: Path) -> Path:
    """A store as the first version left it, with a vote."""
    database = Database(sqlite_url(folder / "labels.db"))
    migrate(database, "0001")
    with database.writing() as connection:
        run = connection.exec_driver_sql
        run("INSERT INTO videos VALUES ('cam1', 'aaaaaaaaaaaaaaaa')")
        run("INSERT INTO clips VALUES ('cam1@0-4000', 'bbbbbbbbbbbbbbbb', 'cam1', 0, 4, 0, 48, 2, "
            "'f', 0)")  # fmt: skip
        run("INSERT INTO votes VALUES (7, 't', 't', 'cam1@0-4000', 'kim', 'label', 'faint', '', "
            "NULL, NULL, '[]', 'person', NULL, NULL, NULL, '2026-01-01', 'f')")  # fmt: skip
    database.close()
    return folder / "labels.db"


def test_a_store_of_the_first_version_is_upgraded_after_a_copy(tmp_path: Path) -> None:
    path = old_store(tmp_path)
    store = open_sqlite(tmp_path)
    (vote,) = store.votes()
    assert (vote.vote_id, vote.label, vote.stale) == (7, "faint", False)
    store.rename({"faint": "fall"}, "boss")
    assert store.votes()[0].label == "fall"
    assert store.check() == []
    store.close()
    copy = path.with_name("labels.db.0001.backup")
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert kept.execute("SELECT label FROM votes").fetchall() == [("faint",)]


def test_the_copy_is_of_the_old_store_where_another_upgrades_it_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_store(tmp_path)
    database = Database(sqlite_url(path))
    reading = database.reading

    @contextmanager
    def overtaken() -> Iterator[Connection]:
        with reading() as connection:
            yield connection
        open_sqlite(tmp_path).close()

    monkeypatch.setattr(database, "reading", overtaken)
    migrate(database)
    database.close()
    with closing(sqlite3.connect(path.with_name("labels.db.0001.backup"))) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


def test_a_store_that_is_refused_holds_no_file_open(tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "labels.db")) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError) as caught:
        open_sqlite(tmp_path)
    assert caught.value.__traceback__ is not None, "what keeps its frames keeps no connection"
    held = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    assert str(tmp_path / "labels.db") not in held


def test_an_upgrade_that_fails_leaves_the_old_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_store(tmp_path)
    broken = tmp_path / "migrations"
    shutil.copytree(Path(__file__).parents[2] / "vigil" / "labels" / "migrations", broken)
    step = broken / "versions" / "v0002_append_only.py"
    step.write_text(step.read_text("utf-8").replace("_sqlite()", "op.execute('NO SQL')", 1))
    with monkeypatch.context() as patched:
        patched.setattr("vigil.labels.migrating.MIGRATIONS", broken)
        with pytest.raises(StoreError, match="expected a working store"):
            open_sqlite(tmp_path)
    with closing(sqlite3.connect(path)) as kept:
        tables = {row[0] for row in kept.execute("SELECT name FROM sqlite_master")}
    assert "renames" not in tables
    store = open_sqlite(tmp_path)
    assert len(store.votes()) == 1
    store.close()


def test_a_store_of_a_newer_version_is_refused_in_one_line(tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "labels.db")) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
        file.commit()
    before = (tmp_path / "labels.db").read_bytes()
    with pytest.raises(StoreError, match=r"expected a schema up to \d+, got 9999") as caught:
        open_sqlite(tmp_path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "labels.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "labels.db").write_text("clip_id,label\n" * 500)
    with pytest.raises(StoreError, match="not a database"):
        open_sqlite(tmp_path)
    assert (tmp_path / "labels.db").read_text().startswith("clip_id,label")


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "acme://x/y"])
def test_what_is_no_place_for_a_store_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="labels: expected"):
        LabelStore.open(url, labeling())


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    open_sqlite(tmp_path).close()
    database = Database(sqlite_url(tmp_path / "labels.db"))
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert version(connection) == head()
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_the_database_itself_refuses_to_change_what_was_said(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, token="mine")])  # noqa: S106
    store.rename({"assault": "fight"}, "boss")
    for table in APPEND_ONLY:
        for statement in (
            f"DELETE FROM {table}",  # noqa: S608
            f"UPDATE {table} SET {'label' if table == 'votes' else 'actor'} = 'x'",  # noqa: S608
        ):
            with (
                pytest.raises(StoreError, match=f"{table} are append-only"),
                store._database.writing() as connection,
            ):
                connection.exec_driver_sql(statement)
    assert [vote.label for vote in store.votes()] == ["fight"]


def test_replacing_a_vote_is_refused_even_to_strangers(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    one, *_ = filled(store)
    store.cast([draft(one, token="mine")])  # noqa: S106
    columns = ("token, action, clip_id, annotator, kind, label, reason, track_ids, source, "
               "voted_at, fingerprint")  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "labels.db")) as stranger:
        for first in ("'mine'", "'new'"):
            number = "vote_id" if first == "'new'" else "seconds"
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                stranger.execute(
                    f"INSERT OR REPLACE INTO votes ({number}, {columns}) SELECT 1, {first}, "  # noqa: S608
                    f"{columns.partition(', ')[2]} FROM votes"
                )
    assert [vote.label for vote in store.votes()] == ["assault"]
    store.close()


def test_what_is_acknowledged_is_synced(store: LabelStore) -> None:
    sqlite = {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2, "PRAGMA foreign_keys": 1}
    postgres = {"SHOW synchronous_commit": "on", "SHOW fsync": "on"}
    with store._database.writing() as connection:
        for query, expected in (sqlite if store._database.file else postgres).items():
            assert connection.exec_driver_sql(query).scalar() == expected


def test_a_backup_is_a_whole_store_and_taken_while_people_label(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    one, *_ = filled(store)
    store.cast([draft(one)])
    target = tmp_path / "copies" / "today.db"
    with store._database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM gold")
        store.backup(target)
    store.cast([draft(one, "normal")])
    copy = LabelStore.open(sqlite_url(target), labeling())
    assert [vote.label for vote in copy.votes()] == ["assault"]
    assert copy.check() == []
    copy.close()
    assert [path.name for path in target.parent.iterdir()] == ["today.db"]
    store.close()


def test_a_backup_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    filled(store)
    target = tmp_path / "today.db"
    store.backup(target)
    before = target.read_bytes()
    store.close()
    with (tmp_path / "labels.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 4))
    database = Database(sqlite_url(tmp_path / "labels.db"))
    with pytest.raises(StoreError, match="backup"):
        copy_sqlite(database, target)
    database.close()
    assert target.read_bytes() == before
    assert not list(tmp_path.glob(".today*"))


def test_a_backup_onto_the_store_itself_is_refused(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    with pytest.raises(InputError, match="apart"):
        store.backup(tmp_path / "." / "labels.db")
    assert store.check() == []
    store.close()


def test_check_names_a_damaged_file(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    ids = filled(store, clips(400))
    store.cast([draft(clip) for clip in ids])
    store.close()
    path = tmp_path / "labels.db"
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\x00" * 8192)
    damaged = open_sqlite(tmp_path)
    assert damaged.check() != []
    damaged.close()


def test_check_names_votes_that_contradict_each_other(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    one, *_ = filled(store)
    store.cast([draft(one), draft(one)])
    store.undo("kim", "u1")
    with closing(sqlite3.connect(tmp_path / "labels.db")) as file:
        for trigger in ("votes_no_update", "votes_no_delete"):
            file.execute(f"DROP TRIGGER {trigger}")
        file.execute("UPDATE votes SET annotator = 'lee' WHERE vote_id = 1")
        file.execute("UPDATE votes SET label = NULL WHERE vote_id = 2")
        file.commit()
    problems = store.check()
    assert len(problems) == 2
    assert "labels missing, got 1" in "".join(problems)
    store.close()
