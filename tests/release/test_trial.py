"""A trial as an operator holds it: real Triton, real callers through the front, real commands."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.release import plants
from tests.release.trials import Callers, Service, another, fails_on_people, kill, service
from vigil.release.publish import rollback

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("trial")) as found:
        yield found


@pytest.fixture
def ready(running: Service) -> Iterator[Service]:
    """The service with version 1 in service, whatever came before."""
    running.rule()
    yield running
    if running.live.current != 1:
        rollback(running.live, [running.control], to=1)
    assert running.control.ready() == {"tiny": [1]}
    for number in running.live.numbers()[1:]:
        running.live.drop(number)


def report(found: Service) -> dict[str, object]:
    folder = found.params.parent / "reports" / "canary" / "tiny"
    told: dict[str, object] = json.loads((folder / "report.json").read_text())
    assert str(told["state"]).capitalize() in (folder / "index.html").read_text()
    return told


@pytest.mark.parametrize("mode", ["canary", "shadow"])
def test_a_good_version_is_promoted_and_a_shadow_answers_nobody(
    ready: Service, tmp_path: Path, mode: str
) -> None:
    number = ready.hold(another(tmp_path))
    callers = Callers(ready)
    with callers.calling():
        code, said = ready.canary("--version", str(number), *(["--shadow"] * (mode == "shadow")))
        before, ways = dict(callers.versions), set(callers.ways)
        time.sleep(0.3)
    assert (code, callers.faults) == (0, []), said
    assert said.endswith(f"canary: tiny: version {number} serves\n")
    assert ready.live.current == number
    assert ready.control.ready() == {"tiny": [number]}
    told = report(ready)
    assert (told["state"], told["mode"], told["agreement"]) == ("promoted", mode, 1.0)
    assert told["requests"] >= 60
    assert (told["answered"] == 0) == (mode == "shadow")
    assert {("http", "1"), ("grpc", "1")} <= ways
    tried = {("http", str(number)), ("grpc", str(number))}
    assert mode == "shadow" or tried <= ways, "callers of both doors were answered by it"
    assert tried <= callers.ways
    assert callers.versions[str(number)] > before.get(str(number), 0), "it answers all now"


@pytest.mark.parametrize("mode", ["canary", "shadow"])
@pytest.mark.parametrize("fault", ["disagrees", "is slow", "fails"])
def test_a_bad_version_is_withdrawn_and_costs_no_caller_an_answer(
    ready: Service, tmp_path: Path, fault: str, mode: str
) -> None:
    folder = another(tmp_path, -plants.SCALE if fault == "disagrees" else plants.SCALE)
    if fault == "fails":
        plants.plant(folder, fails_on_people)
    if fault == "is slow":
        plants.plant(folder, plants.slow)
        ready.rule(max_slowdown=1.5)
    number = ready.hold(folder)
    callers = Callers(ready)
    with callers.calling():
        code, said = ready.canary("--version", str(number), *(["--shadow"] * (mode == "shadow")))
        callers.versions.clear()
        time.sleep(0.3)
    assert code == 1, said
    assert f"version {number} withdrawn: it {fault.removeprefix('is ') and fault}" in said
    assert callers.faults == []
    assert set(callers.versions) == {"1"}, "a withdrawn candidate answers nobody"
    assert ready.live.current == 1
    assert ready.control.ready() == {"tiny": [1]}
    told = report(ready)
    assert told["state"] == "withdrawn"
    assert bool(told["first_failure"]) == (fault == "fails")


def begun(found: Service, *words: str) -> subprocess.Popen[str]:
    """Begin a trial that would not end, and wait until its candidate is asked."""
    found.rule(requests=1_000_000)
    process = found.start("canary", "tiny", "--front", found.front, *words)
    assert process.stdout is not None
    while "running" not in (line := process.stdout.readline()):
        assert line, process.communicate()
    return process


def test_a_killed_command_leaves_the_served_version_and_the_next_one_unloads(
    ready: Service, tmp_path: Path
) -> None:
    number = ready.hold(another(tmp_path))
    callers = Callers(ready)
    with callers.calling():
        process = begun(ready)
        while str(number) not in callers.versions:
            time.sleep(0.05)
        kill(process)
        time.sleep(0.5)
        callers.versions.clear()
        time.sleep(0.5)
        assert set(callers.versions) == {"1"}
        assert ready.control.ready() == {"tiny": [1], "tiny_canary": [number]}
        code, said = ready.run("rollback", "tiny")
        assert "unloaded the candidate of a trial that was cut off" in said
        assert code == 2, "there is nothing to go back to"
        assert ready.control.ready() == {"tiny": [1]}
    assert callers.faults == []
    assert not (ready.live.repository / "tiny_canary").exists()


def test_an_interrupted_command_unloads_by_itself(ready: Service, tmp_path: Path) -> None:
    number = ready.hold(another(tmp_path))
    callers = Callers(ready)
    with callers.calling():
        process = begun(ready, "--version", str(number))
        second = ready.canary("--version", str(number))
        assert second[0] == 2
        assert "another trial is under way" in second[1]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (130, "interrupted\n")
        assert ready.control.ready() == {"tiny": [1]}
    assert callers.faults == []


def test_a_trial_ends_where_another_version_is_published_meanwhile(
    ready: Service, tmp_path: Path
) -> None:
    number = ready.hold(another(tmp_path / "a"))
    with Callers(ready).calling() as callers:
        process = begun(ready, "--version", str(number))
        plants.release(ready.live, another(tmp_path / "b"), [ready.control])
        said = "".join(process.communicate(timeout=30))
    assert process.returncode == 1
    assert f"withdrawn: version {number + 1} serves meanwhile" in said
    assert [fault for fault in callers.faults if f"KeyError('{number + 1}')" not in fault] == []


def test_too_little_traffic_withdraws_and_no_front_is_one_line(
    ready: Service, tmp_path: Path
) -> None:
    number = ready.hold(another(tmp_path))
    ready.rule(longest_s=0.5)
    code, said = ready.canary("--version", str(number))
    assert code == 1
    assert "withdrawn: too few requests within 0.5 s" in said
    code, said = ready.run("canary", "tiny", "--front", "127.0.0.1:9")
    assert code == 4
    assert "`vigil-serve front` runs one" in said
    assert "Traceback" not in said
    assert ready.run("canary", "tiny", "--version", "1")[0] == 2
