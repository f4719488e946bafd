"""Closed-loop load: a fixed number of callers, each asking again as soon as it is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], None]
CallFactory = Callable[[int], AbstractContextManager[Call]]

_POLL_S = 0.005
_WARMUP_LIMIT = 30.0  # seconds after which the window opens though a caller still waits


@dataclass(frozen=True)
class Load:
    """What one measured window saw.

    Attributes:
        concurrency: callers.
        window_s: length of the window in seconds.
        latency_s: (n,) float64, seconds, of each request completed inside the window.
        errors: requests that failed inside the window.
        first_error: message of the first of them, or "".
    """

    concurrency: int
    window_s: float
    latency_s: NDArray[np.float64]
    errors: int
    first_error: str

    @property
    def throughput_per_s(self) -> float:
        """Requests completed per second of the window."""
        return len(self.latency_s) / self.window_s


@dataclass
class _Caller:
    """One caller's log; only its own thread writes it."""

    done: list[tuple[float, float]]  # (end, latency), seconds
    failed: list[tuple[float, str]]  # (end, message)


def closed_loop(
    make_call: CallFactory,
    concurrency: int,
    seconds: float,
    warmup_s: float,
    on_window: Callable[[], None] = lambda: None,
) -> Load:
    """Load a system and measure one window.

    The window opens once `warmup_s` have passed and every caller was answered at least once: before
    that, latencies belong to a queue that is still filling. It stays open for `seconds`, and for a
    slow system until there are as many answers as callers, ten times as long at most.

    Args:
        make_call: opens the call of one caller (its index given), inside that caller's thread; a
            call makes one request and raises when it fails, and is then closed and opened anew.
        concurrency: callers.
        seconds: least length of the window.
        warmup_s: least time before it opens.
        on_window: called once as the window opens and once as it closes.

    Returns:
        The window's requests.
    """
    callers = [_Caller([], []) for _ in range(concurrency)]
    stop = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(make_call, index, caller, stop), daemon=True)
        for index, caller in enumerate(callers)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    try:
        _wait_warm(callers, began, warmup_s)
        on_window()
        opened = time.perf_counter()
        _wait_answers(callers, opened, seconds)
        closed = time.perf_counter()
        on_window()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return _collect(callers, opened, closed)


def _work(make_call: CallFactory, index: int, caller: _Caller, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with make_call(index) as call:
                while not stop.is_set():
                    began = time.perf_counter()
                    call()
                    ended = time.perf_counter()
                    caller.done.append((ended, ended - began))
        except Exception as error:  # whatever a system raises is a failed request, and counted
            caller.failed.append((time.perf_counter(), f"{type(error).__name__}: {error}"))
            stop.wait(0.01)


def _wait_warm(callers: list[_Caller], began: float, warmup_s: float) -> None:
    while time.perf_counter() - began < max(warmup_s, _WARMUP_LIMIT):
        answered = all(caller.done or caller.failed for caller in callers)
        if answered and time.perf_counter() - began >= warmup_s:
            return
        time.sleep(_POLL_S)


def _wait_answers(callers: list[_Caller], opened: float, seconds: float) -> None:
    def answers() -> int:
        return sum(len(caller.done) + len(caller.failed) for caller in callers)

    before = answers()
    time.sleep(seconds)
    while answers() - before < len(callers) and time.perf_counter() - opened < 10 * seconds:
        time.sleep(_POLL_S)


def _collect(callers: list[_Caller], opened: float, closed: float) -> Load:
    latencies = [
        latency for caller in callers for ended, latency in caller.done if opened <= ended < closed
    ]
    failed = sorted(
        failure for caller in callers for failure in caller.failed if opened <= failure[0] < closed
    )
    return Load(
        concurrency=len(callers),
        window_s=closed - opened,
        latency_s=np.array(latencies, np.float64),
        errors=len(failed),
        first_error=failed[0][1] if failed else "",
    )
