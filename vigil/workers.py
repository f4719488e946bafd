"""A function over many jobs in worker processes that may die: only the guilty job is lost.

Knows processes and nothing of what is computed. A worker that dies takes its pool with it, so
every job that was running then is run again, alone, and the one that kills its worker once more
is named. Workers end with their command, also when that is killed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from typing import Generic, TypeVar

from vigil.errors import VigilError

J = TypeVar("J")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"
)  # fmt: skip


@dataclass(frozen=True)
class Outcome(Generic[J]):
    """How one job ended.

    Attributes:
        job: what was to be done.
        error: one line saying why it failed; None: it is done.
        seconds: time spent on it; 0 where its worker died.
        died: whether it killed its worker.
    """

    job: J
    error: str | None
    seconds: float
    died: bool = False


def run_jobs(
    function: Callable[[J], None], jobs: Sequence[J], workers: int = 0
) -> Iterator[Outcome[J]]:
    """Run every job in a worker process; yield the outcomes as they come.

    Args:
        function: picklable; runs in the workers.
        jobs: picklable.
        workers: processes; 0 means one per core.
    """
    count = min(workers or os.cpu_count() or 1, len(jobs))
    queue = list(reversed(jobs))
    while queue:
        survivors: list[J] = []
        with worker_pool(count) as running:
            pending: dict[Future[_Ended], J] = {}
            while (queue or pending) and not survivors:
                while queue and len(pending) < count:
                    job = queue.pop()
                    pending[running.submit(_timed, function, job)] = job
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    job = pending.pop(future)
                    try:
                        yield Outcome(job, *future.result())
                    except BrokenProcessPool:
                        survivors.append(job)
            survivors.extend(pending.values())
        for job in survivors:
            yield _alone(function, job)


def _alone(function: Callable[[J], None], job: J) -> Outcome[J]:
    """Run a possible culprit by itself."""
    with worker_pool(1) as running:
        try:
            return Outcome(job, *running.submit(_timed, function, job).result())
        except BrokenProcessPool:
            return Outcome(job, "the worker process died", 0.0, died=True)


_Ended = tuple[str | None, float]  # reason of a failure, seconds


def _timed(function: Callable[[J], None], job: J) -> _Ended:
    """Run one job in the worker; failures cross the process border as one line."""
    began = time.perf_counter()
    reason = None
    try:
        function(job)
    except Exception as error:
        reason = str(error) if isinstance(error, VigilError) else f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())
    return reason, time.perf_counter() - began


@contextmanager
def worker_pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """Give spawned workers, one thread each: parallel videos beat parallel loops.

    The variables are read when the numeric libraries load, so the workers must inherit them; what
    this process starts afterwards must not.

    Args:
        count: processes.
    """
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    context = get_context("spawn")
    try:
        with ProcessPoolExecutor(count, context, initializer=_end_with_parent) as running:
            yield running
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """Let a worker end when the command is killed: its queue would keep it waiting for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
