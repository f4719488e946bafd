"""Much at once, and no room left: nothing lost, nothing doubled, nothing acknowledged in vain."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.labeling_ui.projects import CLASSES, PEOPLE, Project, make
from tests.labeling_ui.servers import Annotator, Server, serving, token
from vigil.labels.project import open_store

VOTES = 20_000
_BATCH = 25
_SESSIONS = 8


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_twenty_thousand_votes_by_eight_at_once_are_all_there_once(tmp_path: Path) -> None:
    project = make(tmp_path)
    with serving(project.params) as server:
        people = [server.sign_in(list(PEOPLE)[n % len(PEOPLE)]) for n in range(_SESSIONS)]
        keys = [clip["key"] for video in (0, 1) for clip in people[0].clips(video)]
        with ThreadPoolExecutor(_SESSIONS) as pool:
            sent = list(pool.map(_label, people, [keys] * _SESSIONS, range(_SESSIONS)))
    store = open_store(project.config, project.paths)
    saved = {vote.token: vote.annotator for vote in store.votes()}
    rows = len(store.votes())
    assert store.check() == []
    store.close()
    expected = {one: person.me["name"] for person, own in zip(people, sent, strict=True)
                for one in own}  # fmt: skip
    assert len(expected) == VOTES
    assert rows == VOTES
    assert saved == expected


def _label(annotator: Annotator, keys: list[str], seed: int) -> list[str]:
    """Send one's share in batches; give up on some answers, and send every batch until one came."""
    chance, tokens = random.Random(seed), []
    for _ in range(VOTES // _SESSIONS // _BATCH):
        batch: list[dict[str, Any]] = [
            {"token": token(), "clip": chance.choice(keys), "kind": "label",
             "label": chance.choice(CLASSES)} for _ in range(_BATCH)
        ]  # fmt: skip
        tokens += [vote["token"] for vote in batch]
        while not _acknowledged(annotator, batch, chance):
            pass
        if chance.random() < 0.1:
            assert annotator.vote(*batch).status_code == 201, "twice is once"
    return tokens


def _acknowledged(annotator: Annotator, batch: list[dict[str, Any]], chance: random.Random) -> bool:
    patience_s = chance.choice((0.01, 60.0, 60.0, 60.0))
    try:
        answer = annotator.client.post(
            "/api/votes", json={"votes": batch}, timeout=patience_s,
            headers={"X-Vigil-CSRF": annotator.me["csrf"]},
        )  # fmt: skip
    except httpx.TransportError:
        return False
    assert answer.status_code == 201, answer.text
    assert [vote["token"] for vote in answer.json()["votes"]] == [one["token"] for one in batch]
    return True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Project]:
    """A project whose labels lie on a disk of a few megabytes."""
    project = make(tmp_path, people=False)
    project.paths.labeling.mkdir(parents=True, exist_ok=True)
    place = str(project.paths.labeling)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", place]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to mount a small disk: {done.stderr.strip()}")
    yield project
    subprocess.run(["umount", "--lazy", place], check=True)  # noqa: S607


@pytest.mark.slow
def test_on_a_full_disk_nothing_is_acknowledged_and_the_rest_goes_on(small_disk: Project) -> None:
    with serving(small_disk.params) as server:
        local = _sign_in_alone(server)
        vote = {"clip": local.clips()[0]["key"], "kind": "label", "label": CLASSES[0]}
        local.vote(vote).raise_for_status()
        filler = small_disk.paths.labeling / "filler"
        _fill(filler)
        refused = [vote | {"token": token(), "reason": "x" * 150} for _ in range(60)]
        answer = local.vote(*refused)
        assert answer.status_code == 507, answer.text
        assert len(answer.json()["error"].splitlines()) == 1
        assert local.clips()[0]["mine"]["label"] == CLASSES[0], "reading goes on"
        filler.unlink()
        assert local.vote(*refused).status_code == 201
    store = open_store(small_disk.config, small_disk.paths)
    assert len(store.votes()) == 61
    assert store.check() == []
    store.close()


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def _sign_in_alone(server: Server) -> Annotator:
    client = server.client()
    client.get("/login")
    return Annotator(client)
