"""The server killed with SIGKILL between key and answer: what was acknowledged is on disk."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import pytest

from labeling_ui.server import serve
from labeling_ui.sessions import Door, Sessions, csrf
from tests.labeling_ui.projects import CLASSES, Project, make
from tests.labeling_ui.servers import token
from vigil.config import load
from vigil.labels.project import open_store, sync
from vigil.labels.users import Users

KILLS = 200
_LATENCY_S = 0.08  # about how long a vote takes; the test finds out how long it is here
_STEP = 1.2
_PRELOADED = (
    "alembic.command", "pyarrow.dataset", "sqlalchemy.dialects.sqlite", "streamlit.starlette",
    "streamlit.runtime", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto",
)  # fmt: skip
_FORKS = multiprocessing.get_context("forkserver")


def _serve(params: Path, pipe: Connection) -> None:
    """Serve in a process forked from one that has imported everything already.

    Streamlit reads the metadata of every installed package when it starts, two hundred times for
    nothing here.
    """
    importlib.metadata.distributions = lambda **_: iter(())  # type: ignore[assignment]
    config, paths = load(params)
    serve(config, paths, pipe.send)


@contextmanager
def _running(params: Path) -> Iterator[tuple[ForkServerProcess, str]]:
    ours, theirs = _FORKS.Pipe()
    process = _FORKS.Process(target=_serve, args=(params, theirs))
    process.start()
    try:
        assert ours.poll(300), "the server did not start"
        yield process, ours.recv()
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
        theirs.close()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_acknowledged_vote_is_lost_and_none_is_doubled(tmp_path: Path) -> None:
    _FORKS.set_forkserver_preload([*_PRELOADED, __name__])
    project = make(tmp_path, people=True)
    stamp = next(user for user in Users(project.paths.users).list() if user.name == "ann").stamp
    cookie = Sessions(project.paths.labeling / "sessions.json", 1e6).start(
        "ann", Door.PASSWORD, stamp
    )
    store = open_store(project.config, project.paths)
    sync(store, project.paths)
    keys = [row.key for row in store.clips()]
    store.close()
    chance, acked, unsure = random.Random(5), [], []  # type: ignore[var-annotated]
    latest_s = _LATENCY_S  # kills fall before, into and after a vote, whatever that takes here
    pending: list[dict[str, Any]] = []
    for kill in range(KILLS):
        with _running(project.params) as (process, address):
            for vote in pending:
                assert _send(address, cookie, vote) == 201, "sent again after the restart"
                assert _count(project, vote["token"]) == 1
            pending = []
            vote = {"token": token(), "clip": keys[kill % len(keys)], "kind": "label",
                    "label": CLASSES[kill % len(CLASSES)]}  # fmt: skip
            status = _send_and_kill(process, address, cookie, vote, chance.uniform(0, latest_s))
        if status == 201:
            acked.append(vote["token"])
            latest_s /= _STEP
            assert _count(project, vote["token"]) == 1, "acknowledged, and not on disk"
        else:
            assert status is None, f"the server answered {status}"
            unsure.append(vote["token"])
            latest_s *= _STEP
            pending.append(vote)
    with _running(project.params) as (_, address):
        for vote in pending:
            assert _send(address, cookie, vote) == 201
    assert len(acked) > KILLS // 20, "kills must fall after answers too"
    assert len(unsure) > KILLS // 20, "kills must fall before answers too"
    assert {_count(project, one) for one in (*acked, *unsure)} == {1}
    store = open_store(project.config, project.paths)
    assert store.check() == []
    assert len(store.votes()) == KILLS
    store.close()


def _send_and_kill(
    process: ForkServerProcess, address: str, cookie: str, vote: dict[str, Any], after_s: float
) -> int | None:
    """Send a vote, kill the server a moment later, and return what was answered, if anything."""
    client = httpx.Client(base_url=address, cookies={"vigil_session": cookie}, timeout=120)
    answers: list[int] = []

    def send() -> None:
        with suppress(httpx.TransportError):
            answers.append(_post(client, cookie, vote))

    with client:
        client.get("/api/me").raise_for_status()
        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(after_s)
        process.kill()
        thread.join()
    return answers[0] if answers else None


def _send(address: str, cookie: str, vote: dict[str, Any]) -> int:
    with httpx.Client(base_url=address, cookies={"vigil_session": cookie}, timeout=120) as client:
        return _post(client, cookie, vote)


def _post(client: httpx.Client, cookie: str, vote: dict[str, Any]) -> int:
    headers = {"X-Vigil-CSRF": csrf(cookie)}
    return client.post("/api/votes", json={"votes": [vote]}, headers=headers).status_code


def _count(project: Project, name: str) -> int:
    """Return how many votes have a token, read past the store."""
    with sqlite3.connect(project.paths.label_store) as connection:
        query = "SELECT count(*) FROM votes WHERE token = ?"
        found: int = connection.execute(query, (name,)).fetchone()[0]
    connection.close()
    return found
