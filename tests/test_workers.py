"""Jobs in worker processes: failures are one line, and a death costs one job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vigil
from vigil.errors import InputError
from vigil.workers import Outcome, run_jobs, worker_pool

pytestmark = pytest.mark.timeout(600)


def act(job: tuple[str, Path]) -> None:
    """Leave a mark per run, then do what the job says."""
    deed, mark = job
    with mark.open("a") as file:
        file.write("x")
    if deed == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "refuse":
        raise InputError("clip 3:\nexpected more")
    if deed == "stumble":
        raise ValueError("odd")


def run(folder: Path, *deeds: str, workers: int = 2) -> dict[str, Outcome[tuple[str, Path]]]:
    jobs = [(deed, folder / f"{number} {deed}") for number, deed in enumerate(deeds)]
    return {outcome.job[1].name: outcome for outcome in run_jobs(act, jobs, workers)}


def test_every_job_has_its_outcome_in_one_line(tmp_path: Path) -> None:
    found = run(tmp_path, "work", "refuse", "stumble", workers=1)
    assert {name: outcome.error for name, outcome in found.items()} == {
        "0 work": None,
        "1 refuse": "clip 3: expected more",
        "2 stumble": "ValueError: odd",
    }
    assert all(outcome.seconds > 0 and not outcome.died for outcome in found.values())


def test_only_the_job_that_kills_its_worker_is_lost_and_it_is_tried_twice(tmp_path: Path) -> None:
    found = run(tmp_path, "work", "die", "work", "work")
    assert [name for name, outcome in found.items() if outcome.died] == ["1 die"]
    assert [outcome.error for outcome in found.values() if outcome.error] == [
        "the worker process died"
    ]
    assert (tmp_path / "1 die").read_text() == "xx"
    assert len(found) == 4


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    assert run(tmp_path) == {}


def threads(_: int) -> tuple[int, str]:
    import cv2

    return cv2.getNumThreads(), os.environ["OMP_NUM_THREADS"]


def test_a_worker_keeps_to_one_thread_and_nothing_started_later_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENCV_FOR_THREADS_NUM", raising=False)
    with worker_pool(1) as running:
        assert list(running.map(threads, [0])) == [(1, "1")]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENCV_FOR_THREADS_NUM" not in os.environ


_FOREVER = """
import os, time
from pathlib import Path
from vigil.workers import worker_pool

def stay(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    with worker_pool(2) as running:
        list(running.map(stay, [{folder!r}] * 2))
"""


def test_workers_end_when_their_command_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "forever.py"
    script.write_text(_FOREVER.format(folder=str(folder)))
    root = Path(vigil.__file__).parents[1]
    command = subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(root)}
    )
    while len(list(folder.iterdir())) < 2:
        assert command.poll() is None
        time.sleep(0.05)
    command.kill()
    command.wait()
    for worker in folder.iterdir():
        while alive(int(worker.name)):
            time.sleep(0.05)


def alive(pid: int) -> bool:
    """Tell whether a process is there and is no zombie that nobody has reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
