"""Killed, crowded or out of room: what was acknowledged is there, once, and nothing is half."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.labels.stores import clips, draft, filled, labeling, open_sqlite
from tests.labels.writers import label_many, label_until_killed
from vigil.errors import StoreError, StoreFull
from vigil.labels.database import sqlite_url
from vigil.labels.store import LabelStore
from vigil.labels.users import Users

KILLS = 200
VOTES, PROCESSES = 20_000, 4


@pytest.fixture(scope="module")
def spawn() -> Callable[..., tuple[Any, Connection]]:
    """Start a function in a process with a pipe back; the server has the imports already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.labels.writers", "alembic.command"])

    def start(function: Callable[..., None], *arguments: object) -> tuple[Any, Connection]:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=function, args=(*arguments, there), daemon=True)
        process.start()
        there.close()
        return process, here

    return start


def heard(acks: Connection) -> list[str]:
    """Everything that a dead process said."""
    said = []
    try:
        while True:
            said.append(acks.recv())
    except (EOFError, OSError):
        return said


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_acknowledged_vote_is_lost_to_200_kills(
    kind: str, spawn: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = sqlite_url(tmp_path / "labels.db")
    if kind == "postgres":
        url = request.getfixturevalue("empty_postgres")
    store = LabelStore.open(url, labeling())
    ids = filled(store)
    dice = random.Random(0)
    acknowledged = []
    for run in range(KILLS):
        process, acks = spawn(label_until_killed, url, run, ids)
        first = [acks.recv() for _ in range(dice.randint(0, 3))]
        if run % 2:
            time.sleep(dice.uniform(0, 0.02))
        process.kill()
        process.join()
        acknowledged += first + heard(acks)
    votes = {vote.token: vote for vote in store.votes()}
    assert len(acknowledged) > KILLS
    assert set(acknowledged) <= set(votes)
    starts = {token.rpartition("-")[0] for token in votes}
    assert len(votes) == 3 * len(starts), "a page was saved in part"
    assert len(starts) - len(acknowledged) <= KILLS
    assert store.check() == []
    store.close()


@pytest.fixture
def much_syncing() -> Iterator[Path]:
    """A folder in memory, where there is one: crowds are tested here, not the disk."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_20_000_votes_of_several_processes_are_there_once(spawn: Any, much_syncing: Path) -> None:
    store = open_sqlite(much_syncing)
    ids = filled(store, clips(500))
    url = sqlite_url(much_syncing / "labels.db")
    names = [f"p{number}" for number in range(PROCESSES)]
    each = VOTES // PROCESSES
    started = [
        spawn(label_many, url, name, each, ids, names[number - 1])
        for number, name in enumerate(names)
    ]
    said = [pair for _, acks in started for pair in acks.recv()]
    for process, _ in started:
        process.join()
    votes = store.votes()
    assert len(votes) == VOTES
    by_token = {vote.token: vote.vote_id for vote in votes}
    assert len(by_token) == VOTES
    assert len(said) > VOTES
    assert all(by_token[token] == vote_id for token, vote_id in said)
    assert len(store.votes(standing=True)) == 500 * PROCESSES
    assert store.check() == []
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"no small disk here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607


def fill(place: Path) -> Path:
    """Leave no room at all; return the file to remove."""
    filler = place / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        return filler


def test_a_full_disk_is_said_and_nothing_that_was_acknowledged_is_lost(small_disk: Path) -> None:
    store = open_sqlite(small_disk)
    one, *_ = filled(store)
    saved = [vote.token for vote in store.cast([draft(one)])]
    filler = fill(small_disk)
    refused = draft(one, reason="x" * 1500)

    def go_on() -> None:
        nonlocal refused
        for _ in range(5000):
            saved.extend(vote.token for vote in store.cast([refused]))
            refused = draft(one, reason="x" * 1500)

    with pytest.raises(StoreFull, match="expected room for labels, got a full disk"):
        go_on()
    assert [vote.token for vote in store.votes()] == saved
    assert store.check() == []
    with pytest.raises(StoreFull):
        store.undo("kim", "u1")
    filler.unlink()
    store.cast([refused])
    assert [vote.token for vote in store.votes()] == [*saved, refused.token]
    store.close()
    again = open_sqlite(small_disk)
    assert len(again.votes()) == len(saved) + 1
    assert again.check() == []
    again.close()


def test_a_store_that_finds_no_room_from_the_start_says_so(small_disk: Path) -> None:
    filler = fill(small_disk)
    with pytest.raises(StoreFull):
        open_sqlite(small_disk)
    filler.unlink()
    store = open_sqlite(small_disk)
    assert store.votes() == []
    store.close()


def test_users_and_backups_survive_a_full_disk_whole(small_disk: Path, tmp_path: Path) -> None:
    users = Users(small_disk / "users.json")
    users.add("boss", "correct horse", "admin")
    store = open_sqlite(tmp_path)
    ids = filled(store, clips(3000))
    fill(small_disk)
    with pytest.raises(StoreError):
        users.add("kim", "correct horse", "annotator")
    with pytest.raises(StoreError):
        store.backup(small_disk / "copy.db")
    assert [user.name for user in users.list()] == ["boss"]
    assert not (small_disk / "copy.db").exists()
    assert sorted(path.name for path in small_disk.iterdir()) == [
        ".users.json.lock", "filler", "users.json"
    ]  # fmt: skip
    store.cast([draft(ids[0])])
    store.close()


def test_a_writer_that_waits_for_another_process_is_served_in_the_end(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    one, *_ = filled(store)
    with closing(sqlite3.connect(tmp_path / "labels.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=store.cast, args=([draft(one)],))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert store.votes() == []
        other.execute("COMMIT")
        waiting.join()
    assert len(store.votes()) == 1
    store.close()


def test_people_who_label_at_once_in_one_process_lose_nothing(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    ids = filled(store)
    saved: list[int] = []

    def work(name: str) -> None:
        for number in range(15):
            (vote,) = store.cast([draft(ids[number % 4], by=name)])
            saved.append(vote.vote_id)
            assert vote in store.votes(annotator=name)

    threads = [threading.Thread(target=work, args=(f"p{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(saved) == [vote.vote_id for vote in store.votes()] == list(range(1, 121))
    store.close()
