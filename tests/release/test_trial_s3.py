"""A trial of a live repository in a real object store: real Triton, real callers, real commands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.release import plants
from tests.release.object_store import ObjectStore
from tests.release.trials import Callers, Service, another, kill, service
from vigil.errors import InputError
from vigil.release.publish import rollback

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("trial"), store.place()) as found:
        yield found


@pytest.fixture
def ready(running: Service, store: ObjectStore) -> Iterator[Service]:
    """The service with version 1 in service, whatever came before; a trial leaves nothing."""
    running.rule()
    yield running
    assert strangers(running, store) == set()
    if running.live.current != 1:
        rollback(running.live, [running.control], to=1)
    assert running.control.ready() == {"tiny": [1]}
    with running.live.lock():
        running.live.drop(*running.live.numbers()[1:])


def strangers(found: Service, store: ObjectStore) -> set[str]:
    """Return the objects that a trial wrote beside the model's own."""
    keys = store.keys(found.live.storage.url)
    return {key for key in keys if not key.startswith("tiny/")} - {".conditional"}


def test_a_good_version_is_promoted_under_load(ready: Service, tmp_path: Path) -> None:
    number = ready.hold(another(tmp_path))
    callers = Callers(ready)
    with callers.calling():
        code, said = ready.canary("--version", str(number))
        callers.versions.clear()
        time.sleep(0.3)
    assert (code, callers.faults) == (0, []), said
    assert {("http", str(number)), ("grpc", str(number)), ("http", "1"), ("grpc", "1")} <= (
        callers.ways
    )
    assert set(callers.versions) == {str(number)}, "it answers all now"
    assert ready.live.current == number
    assert ready.control.ready() == {"tiny": [number]}
    folder = ready.params.parent / "reports" / "canary" / "tiny"
    told = json.loads((folder / "report.json").read_text())
    assert (told["state"], told["agreement"]) == ("promoted", 1.0)


def test_a_shadow_that_disagrees_is_withdrawn_and_answers_nobody(
    ready: Service, tmp_path: Path
) -> None:
    number = ready.hold(another(tmp_path, -plants.SCALE))
    callers = Callers(ready)
    with callers.calling():
        code, said = ready.canary("--version", str(number), "--shadow")
    assert (code, callers.faults) == (1, []), said
    assert f"version {number} withdrawn: it disagrees" in said
    assert set(callers.versions) == {"1"}
    assert ready.live.current == 1


def test_one_trial_at_a_time_and_a_killed_one_is_cleared_away(
    ready: Service, store: ObjectStore, tmp_path: Path
) -> None:
    number = ready.hold(another(tmp_path))
    ready.rule(requests=1_000_000)
    callers = Callers(ready)
    with callers.calling():
        process = ready.start("canary", "tiny", "--front", ready.front)
        assert process.stdout is not None
        while "running" not in (line := process.stdout.readline()):
            assert line, process.communicate()
        code, said = ready.canary("--version", str(number))
        assert (code, "another trial is under way" in said) == (2, True), said
        assert ready.control.ready() == {"tiny": [1], "tiny_canary": [number]}
        kill(process)
        time.sleep(0.5)
        callers.versions.clear()
        time.sleep(0.3)
        assert set(callers.versions) == {"1"}
        assert "tiny_canary/config.pbtxt" in strangers(ready, store)
        code, said = ready.run("rollback", "tiny")
        assert "unloaded the candidate of a trial that was cut off" in said
        assert code == 2, "there is nothing to go back to"
        assert ready.control.ready() == {"tiny": [1]}
    assert callers.faults == []


def test_of_two_who_want_a_trial_at_once_one_gets_it(ready: Service) -> None:
    storage = ready.live.storage
    with storage.lock_trial("tiny") as held:
        with (
            pytest.raises(InputError, match="tiny: another trial is under way"),
            storage.lock_trial("tiny"),
        ):
            pass
        assert held()
    with storage.lock_trial("tiny") as held:
        assert held()
