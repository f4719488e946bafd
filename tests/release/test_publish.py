"""A version is published and taken back without a lost request; whatever kills it, one serves."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.conftest import ROOT
from tests.release import plants
from tests.release.object_store import ObjectStore
from vigil.errors import InputError, ModelError, ServerUnavailable
from vigil.release.candidate import Candidate
from vigil.release.live import LiveModel
from vigil.release.publish import STEPS, check_verdict, publish, rollback
from vigil.release.storage import LocalStorage, storage_at
from vigil.serving.control import Control
from vigil.serving.repository import read_config
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession

SCALES = {1: 10.0, 2: 5.0, 3: 2.0}


def candidate(folder: Path, scale: float = plants.SCALE) -> Path:
    """Write a candidate whose answers tell which one it is."""
    if not (folder / "tiny").is_dir():
        plants.model(folder)
    networks.recognizer(folder / "tiny" / "1" / "model.onnx", scale=scale)
    return folder / "tiny"


@pytest.fixture(
    scope="module", params=["folder", pytest.param("object store", marks=pytest.mark.slow)]
)
def new_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Return what makes places for live repositories, of each kind."""
    if request.param == "folder":
        return lambda: str(tmp_path_factory.mktemp("place") / "live")
    store: ObjectStore = request.getfixturevalue("store")
    return store.place


@pytest.fixture
def live(new_place: Callable[[], str], tmp_path: Path) -> LiveModel:
    """A live repository in which version 1 serves."""
    found = LiveModel(new_place(), "tiny")
    plants.release(found, candidate(tmp_path, SCALES[1]))
    return found


@pytest.fixture(scope="module")
def server(new_place: Callable[[], str]) -> Iterator[EmbeddedTriton]:
    """A server of an empty live repository, under explicit control."""
    place = new_place()
    storage_at(place).prepare()
    with EmbeddedTriton(place, []) as running:
        yield running


@pytest.fixture
def service(server: EmbeddedTriton, tmp_path: Path) -> Iterator[tuple[LiveModel, Control]]:
    """The live model that the server serves, version 1 of it, and the server's control."""
    control, live = Control(server.http_url), LiveModel(server.model_repository, "tiny")
    plants.release(live, candidate(tmp_path, SCALES[1]), [control])
    yield live, control
    control.unload("tiny")
    forget(live)


def forget(live: LiveModel) -> None:
    """Remove a model, as nobody but a test does."""
    if isinstance(live.storage, LocalStorage):
        shutil.rmtree(live.repository / live.name)
    else:
        live.storage._delete_keys(live.storage._keys(f"{live.name}/"))


def files(live: LiveModel) -> set[str]:
    """Return the names of everything that lies below a model."""
    if isinstance(live.storage, LocalStorage):
        folder = live.repository / live.name
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {key.removeprefix("tiny/") for key in live.storage._keys("tiny/")}


def whole(live: LiveModel) -> set[str]:
    """Return the names of what should lie below a model, and nothing else."""
    parts = ("model.onnx", "config.pbtxt", "labels.txt", "lineage.json", "verdict.json")
    versions = {f"{number}/{name}" for number in live.numbers() for name in parts}
    return versions | {"config.pbtxt", "labels.txt"}


def test_what_did_not_pass_the_gate_is_refused(live: LiveModel, tmp_path: Path) -> None:
    new = Candidate.at(candidate(tmp_path, SCALES[2]))
    good = plants.verdict(live, new)
    check_verdict(live, new, good)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ship": False, "why": ["too slow"]}, "did not pass the gate: too slow"),
        ({"ship": "true"}, "did not pass the gate"),
        ({"model": "other"}, "expected a verdict on tiny"),
        ({"served": None}, "was judged against version None, but 1 serves"),
        ({"candidate": {"sha256": {}}}, "expected the files that were judged"),
    ]
    for change, message in wrong:
        with pytest.raises(InputError, match=message):
            publish(live, new, {**good, **change}, {}, [], 5)
    (tmp_path / "tiny" / "labels.txt").write_text("a\nb\nc\n")
    with pytest.raises(InputError, match="expected the files that were judged"):
        publish(live, new, good, {}, [], 5)
    assert live.numbers() == [1]


def test_versions_are_numbered_kept_and_described(live: LiveModel, tmp_path: Path) -> None:
    for _ in range(4):
        plants.release(live, candidate(tmp_path), keep=3)
    assert live.numbers() == [3, 4, 5]
    assert live.current == 5
    assert live.lineage(4)["sha256"]["model.onnx"] == live.lineage(5)["sha256"]["model.onnx"]
    assert list(read_config(live.at_hand(5).parent / "tiny").version_policy.specific.versions) == [
        5
    ]
    assert rollback(live, []) == 4
    assert rollback(live, []) == 3
    with pytest.raises(ModelError, match="got 2"):
        rollback(live, [])
    assert rollback(live, [], to=5) == 5


def test_a_rollback_goes_to_what_served_before_and_never_to_what_was_taken_back(
    live: LiveModel, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="expected a version beside 1"):
        rollback(live, [])
    for _ in (2, 3):
        plants.release(live, candidate(tmp_path))
    rollback(live, [], to=1)
    assert plants.release(live, candidate(tmp_path), keep=2) == 4
    assert live.numbers() == [1, 3, 4], "the one that a rollback takes stays, however old"
    assert rollback(live, []) == 1


def test_a_version_whose_files_changed_is_not_gone_back_to(live: LiveModel, tmp_path: Path) -> None:
    plants.release(live, candidate(tmp_path, SCALES[2]))
    live.storage.replace("tiny", "1/model.onnx", "another network")
    with pytest.raises(ModelError, match=r"version 1: expected the files that were judged.*onnx"):
        rollback(live, [])
    assert live.current == 2


def test_two_publishes_at_once_are_refused(tmp_path: Path) -> None:
    live = LiveModel(tmp_path / "live", "tiny")
    with live.lock(), pytest.raises(InputError, match="another publish or rollback is under way"):
        plants.release(live, candidate(tmp_path))


def test_a_server_that_does_not_answer_changes_nothing(live: LiveModel, tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable):
        plants.release(live, candidate(tmp_path), [Control("127.0.0.1:9", 1)])
    assert (live.numbers(), live.current) == ([1], 1)


def test_a_disk_that_fills_up_before_the_pointer_moves_leaves_what_serves(
    live: LiveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(live, "point", full)
    with pytest.raises(ModelError, match="version 1 stays: No space left on device"):
        plants.release(live, candidate(tmp_path))
    assert (live.numbers(), live.current) == ([1], 1)


def test_a_full_disk_publishes_nothing_and_leaves_what_serves(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=192k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        live = LiveModel(disk / "live", "tiny")
        plants.release(live, candidate(tmp_path))
        (tmp_path / "tiny" / "1" / "model.onnx").write_bytes(os.urandom(256 * 1024))
        with pytest.raises(ModelError, match="nothing is published: No space left on device"):
            plants.release(live, tmp_path / "tiny")
        assert (live.numbers(), live.current) == ([1], 1)
        assert files(live) == whole(live)
        live.check(1)
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S607


def killed(live: LiveModel, folder: Path, step: str, url: str, action: str) -> None:
    """Publish or roll back in a process that kills itself (-9) right after `step`."""
    code = (
        "import json, os, signal, sys\n"
        "from pathlib import Path\n"
        "from vigil.release.candidate import Candidate\n"
        "from vigil.release.live import LiveModel\n"
        "from vigil.release.publish import publish, rollback\n"
        "from vigil.serving.control import Control\n"
        "repository, folder, step, url, action, verdict = sys.argv[1:]\n"
        "live, new = LiveModel(repository, 'tiny'), Candidate.at(Path(folder))\n"
        "die = lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == step else None\n"
        "if action == 'publish':\n"
        "    told = {'sha256': new.sha256}\n"
        "    publish(live, new, json.loads(verdict), told, [Control(url)], 5, on_step=die)\n"
        "else:\n"
        "    rollback(live, [Control(url)], on_step=die)\n"
    )
    verdict = json.dumps(plants.verdict(live, Candidate.at(folder)))
    arguments = [live.storage.url, str(folder), step, url, action, verdict]
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def answering(url: str, live: LiveModel, protocol: TransportName = "http") -> int:
    """Return which version's answers a server gives."""
    request = networks.clips(2)
    given = TritonSession(url, "tiny", protocol).run(request)["logits"]
    for number in live.numbers():
        wanted = OnnxSession(live.version(number) / "model.onnx").run(request)["logits"]
        if np.allclose(given, wanted, atol=1e-4):
            return number
    raise AssertionError("answers of no version")


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_publish_killed_after_any_step_leaves_a_good_version_serving(
    service: tuple[LiveModel, Control], tmp_path: Path, step: str
) -> None:
    live, control = service
    new = candidate(tmp_path, SCALES[2])
    killed(live, new, step, control.http_url, "publish")
    done = STEPS.index(step)
    pointed = 2 if done >= STEPS.index("pointed") else 1
    assert answering(control.http_url, live) == (2 if done >= STEPS.index("loaded") else 1)
    assert live.current == pointed
    with EmbeddedTriton(live.storage.url, ["tiny"]) as restarted:  # any Triton, without our help
        assert answering(restarted.http_url, live) == pointed
    plants.release(live, candidate(tmp_path, SCALES[3]), [control])
    assert answering(control.http_url, live) == live.current == max(live.numbers())
    assert files(live) == whole(live), "what was half done is gone"


@pytest.mark.slow
@pytest.mark.parametrize("step", ["loaded", "pointed"])
def test_a_rollback_killed_after_any_step_leaves_a_good_version_serving(
    service: tuple[LiveModel, Control], tmp_path: Path, step: str
) -> None:
    live, control = service
    plants.release(live, candidate(tmp_path, SCALES[2]), [control])
    killed(live, tmp_path / "tiny", step, control.http_url, "rollback")
    assert answering(control.http_url, live) == 1
    assert live.current == (1 if step == "pointed" else 2)
    with EmbeddedTriton(live.storage.url, ["tiny"]) as restarted:
        assert answering(restarted.http_url, live) == live.current


@pytest.mark.slow
def test_a_version_that_does_not_load_is_withdrawn(
    service: tuple[LiveModel, Control], tmp_path: Path
) -> None:
    live, control = service
    new = candidate(tmp_path)
    (new / "1" / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="expected the server to load it"):
        plants.release(live, new, [control])
    assert (live.numbers(), live.current) == ([1], 1)
    assert answering(control.http_url, live) == 1
    assert control.ready() == {"tiny": [1]}


def test_a_server_lost_after_the_pointer_moved_leaves_the_version_it_names(
    service: tuple[LiveModel, Control], tmp_path: Path
) -> None:
    live, control = service
    lost = Control(control.http_url)

    def lose(step: str) -> None:
        if step == "pointed":
            lost.http_url = "127.0.0.1:9"

    with pytest.raises(ServerUnavailable):
        plants.release(live, candidate(tmp_path, SCALES[2]), [lost], on_step=lose)
    assert (live.numbers(), live.current) == ([1, 2], 2)
    assert answering(control.http_url, live) == 2


@pytest.mark.slow
def test_one_server_of_two_that_fails_takes_the_other_back(
    service: tuple[LiveModel, Control], tmp_path: Path
) -> None:
    live, control = service
    with pytest.raises(ServerUnavailable):
        plants.release(live, candidate(tmp_path, SCALES[2]), [control, Control("127.0.0.1:9", 1)])
    assert (live.numbers(), live.current) == ([1], 1)
    assert answering(control.http_url, live) == 1


@pytest.mark.slow
def test_under_constant_load_a_publish_and_a_rollback_lose_no_request(
    service: tuple[LiveModel, Control], server: EmbeddedTriton, tmp_path: Path
) -> None:
    live, control = service
    stop, failures, versions, counts = threading.Event(), [], set[int](), []
    request = networks.clips(1)
    wanted = {
        number: OnnxSession(networks.recognizer(tmp_path / f"{number}.onnx", scale=scale)).run(
            request
        )["logits"]
        for number, scale in SCALES.items()
    }

    def load(protocol: TransportName) -> None:
        session = TritonSession(getattr(server, f"{protocol}_url"), "tiny", protocol)
        count = 0
        while not stop.is_set():
            try:
                given = session.run(request)["logits"]
                match = [n for n, right in wanted.items() if np.allclose(given, right, atol=1e-4)]
                versions.update(match)
                if len(match) != 1:
                    failures.append(f"a wrong answer: {given}")
            except Exception as error:
                failures.append(repr(error))
            count += 1
        counts.append(count)

    protocols: tuple[TransportName, ...] = ("http", "grpc", "http", "grpc")
    callers = [threading.Thread(target=load, args=(protocol,)) for protocol in protocols]
    for caller in callers:
        caller.start()
    time.sleep(0.5)
    for number in (2, 3):
        plants.release(live, candidate(tmp_path, SCALES[number]), [control])
        time.sleep(0.3)
    rollback(live, [control])
    rollback(live, [control])
    time.sleep(0.5)
    stop.set()
    for caller in callers:
        caller.join()
    assert failures == []
    assert versions == {1, 2, 3}
    assert sum(counts) > 300, counts


def test_the_verdict_and_the_lineage_lie_beside_the_network(live: LiveModel) -> None:
    assert files(live) == whole(live)
    assert json.loads((live.version(1) / "verdict.json").read_text())["ship"] is True
