"""The watchdog notices a dead stub though readiness lies, and repairs it while others answer."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tritonclient.http import InferenceServerClient

from tests import networks
from vigil.errors import ServerError
from vigil.serving.control import Control
from vigil.serving.host import sweep_shared_memory
from vigil.serving.probe import probe_of
from vigil.serving.repository import parse_config
from vigil.serving.server import EmbeddedTriton
from vigil.serving.supervisor import SHARED_MEMORY
from vigil.serving.watch import Watchdog
from vigil.session import TritonSession

LIMIT_S = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("watched")
    networks.recognizer_model(folder)
    networks.mlp_model(folder, "pair", instances=2)
    with EmbeddedTriton(folder, ["tiny", "pair"]) as running:
        yield running


class Watched(Watchdog):
    """Counts its looks and times the longest; does not look while a test holds `away`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.looks, self.longest_s, self.away = 0, 0.0, threading.Lock()

    def look(self) -> list[str]:
        with self.away:
            self.looks += 1
            began = time.monotonic()
            found = super().look()
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            return found


def until(met: Callable[[], bool], what: str) -> None:
    """Wait until it is so."""
    limit = time.monotonic() + 120
    while not met():
        assert time.monotonic() < limit, f"expected that {what}"
        time.sleep(0.05)


def dead(process: psutil.Process) -> bool:
    """Tell whether a process has ended, though nobody may have asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stubs(server: EmbeddedTriton, model: str) -> list[psutil.Process]:
    """Return the living stubs of a model."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        is_stub = len(words) > 2 and words[0].endswith("_stub") and f"/{model}/" in words[1]
        if is_stub and words[2].startswith(server._id):
            found.append(process)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("model", "count"), [("tiny", 1), ("pair", 2)])
def test_a_killed_stub_is_noticed_within_5_s_and_repaired(
    server: EmbeddedTriton, model: str, count: int
) -> None:
    events: list[str] = []
    control = Control(server.http_url)
    with Watched(server.http_url, 0.5, LIMIT_S, events.append, server) as watchdog:
        until(lambda: watchdog.looks > 2, "it looks again and again")
        assert events == [], "a healthy server is left alone"
        victims = stubs(server, model)
        assert len(victims) == count
        region = SHARED_MEMORY / victims[-1].info["cmdline"][2]
        assert region.exists()
        with watchdog.away, InferenceServerClient(server.http_url) as client:
            victims[-1].kill()
            until(lambda: dead(victims[-1]), "it dies")
            assert client.is_model_ready(model), "readiness lies: this is what the watchdog is for"
            before, limit_s = watchdog.looks, max(LIMIT_S, 20 * watchdog.longest_s)
            killed_at = time.monotonic()
        until(lambda: bool(events), "the death is noticed")
        assert time.monotonic() - killed_at < limit_s, events
        assert watchdog.looks <= before + 1, "the first look after it notices"
        until(lambda: any("answers again" in line for line in events), f"it is repaired: {events}")
        assert f"watch: {model}: " in events[0]
        assert "not healthy" in events[0]
        until(lambda: not region.exists(), "the dead stub's shared memory is given back")
        until(lambda: len(stubs(server, model)) <= count, "the replaced stubs end")
    probe = probe_of(control.config(model))
    assert probe is not None
    for _ in range(2 * count):
        probe.send(server.http_url, LIMIT_S)


@pytest.mark.slow
def test_the_instance_that_lives_answers_while_the_dead_one_is_replaced(
    server: EmbeddedTriton,
) -> None:
    session = TritonSession(server.http_url, "tiny", "http")
    other = threading.Event()
    failures: list[str] = []

    def load() -> None:
        while not other.is_set():
            try:
                session.run(networks.clips(1))
            except ServerError as error:
                failures.append(str(error))

    victim = stubs(server, "pair")[0]
    caller = threading.Thread(target=load)
    caller.start()
    watchdog = Watchdog(server.http_url, 60, LIMIT_S, lambda _: None)
    assert watchdog.look() == []
    victim.kill()
    assert watchdog.look() == ["pair"]
    assert watchdog.look() == []
    other.set()
    caller.join()
    assert failures == []


def test_a_server_that_is_gone_is_said_and_waited_for() -> None:
    events: list[str] = []
    with Watchdog("127.0.0.1:9", 0.01, 0.2, events.append):
        until(lambda: len(events) > 1, "it says so again and again")
    assert "127.0.0.1:9" in events[0]


def test_an_answer_that_makes_no_sense_does_not_end_the_watch() -> None:
    events: list[str] = []
    watchdog = Watchdog("127.0.0.1:9", 0.01, 0.2, events.append)
    watchdog.look = lambda: {}["state"]  # type: ignore[method-assign]
    with watchdog:
        until(lambda: len(events) > 1, "it goes on")
    assert events[:2] == ["watch: KeyError: 'state'"] * 2


def test_probes_are_one_row_of_zeros_of_every_type() -> None:
    config = parse_config(
        'name: "m" max_batch_size: 4 input { name: "a" data_type: TYPE_FP32 dims: [-1, 3] } '
        'input { name: "s" data_type: TYPE_STRING dims: [1] } sequence_batching {}'
    )
    probe = probe_of(config, version=7)
    assert probe is not None
    assert probe.path == "/v2/models/m/versions/7"
    for part in (b'"shape":[1,1,3]', b'"datatype":"BYTES"', b'"sequence_end":true'):
        assert part in probe.body
    config.model_transaction_policy.decoupled = True
    assert probe_of(config) is None


def test_only_regions_without_a_stub_are_swept(tmp_path: Path) -> None:
    for name in ("mine-dead", "mine-young", "other"):
        (tmp_path / name).touch()
    assert sweep_shared_memory(tmp_path, "mine-") == [], "both may still be waiting for a stub"
    word = "mine-alive"
    (tmp_path / word).touch()
    alive = psutil.Popen(["/bin/sh", "-c", "read line", word], stdin=subprocess.PIPE)
    try:
        while word not in alive.cmdline():  # empty for a moment while the program is loaded
            time.sleep(0.01)
        removed = sweep_shared_memory(tmp_path, "mine-", older_than_s=-1)
    finally:
        alive.stdin.close()
        alive.wait()
    assert removed == ["mine-dead", "mine-young"]
    assert {path.name for path in tmp_path.iterdir()} == {word, "other"}
