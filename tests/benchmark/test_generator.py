"""The load generator: what it waits for, what it counts, and what it never drops."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from vigil.benchmark.generator import Lane, drive
from vigil.benchmark.schedule import Closed, at_rate, from_trace
from vigil.benchmark.statistics import lag, scheduled, service
from vigil.benchmark.systems import in_process


class Sleeper:
    """Answers with the input's number after a while."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds, self.closed = seconds, False

    async def ask(self, turn: int) -> int:
        await asyncio.sleep(self.seconds())
        return turn

    def close(self) -> None:
        self.closed = True


def sleeping(seconds: float) -> Callable[[int], object]:
    async def open_lane(_: int) -> Lane:
        return Sleeper(lambda: seconds)

    return open_lane


def test_each_caller_waits_for_its_answer_before_asking_again() -> None:
    callers, seconds = 16, 0.05
    window = drive(sleeping(seconds), Closed(callers), 0.5, 0.1)
    assert service(window).min() >= seconds
    most_of_one = window.seconds / seconds + 1
    assert most_of_one < len(window.due) <= callers * most_of_one


def test_the_window_opens_only_when_every_caller_was_answered() -> None:
    answered: set[int] = set()
    turn = asyncio.Semaphore(1)

    class InTurn:
        def __init__(self, index: int) -> None:
            self.index = index

        async def ask(self, _: int) -> None:
            async with turn:
                await asyncio.sleep(0.02)
                answered.add(self.index)

        def close(self) -> None:
            pass

    async def open_lane(index: int) -> Lane:
        return InTurn(index)

    seen: list[int] = []
    drive(open_lane, Closed(12), 0.05, 0.0, on_edge=lambda: seen.append(len(answered)))
    assert seen == [12, 12]


def test_a_slow_system_keeps_the_window_open_until_callers_were_answered() -> None:
    window = drive(sleeping(0.4), Closed(3), 0.2, 0)
    assert len(window.completed) >= 3
    assert 0.2 < window.seconds < 2


def test_a_request_that_ends_after_the_window_is_waited_for_and_belongs_to_it() -> None:
    first = threading.Event()

    def wait() -> float:
        if first.is_set():
            return 0.6
        return 0.01

    async def open_lane(_: int) -> Lane:
        return Sleeper(wait)

    window = drive(open_lane, Closed(1), 0.1, 0.05, on_edge=first.set)
    assert service(window).max() >= 0.6
    assert window.done.max() > window.seconds


def test_failures_are_counted_with_their_latency_and_the_lane_is_opened_anew() -> None:
    lanes: list[Sleeper] = []

    class Breaking(Sleeper):
        calls = 0

        async def ask(self, turn: int) -> int:
            self.calls += 1
            await asyncio.sleep(0.005)
            if self.calls == 3:
                raise ConnectionResetError("gone")
            return turn

    async def open_lane(_: int) -> Lane:
        lanes.append(Breaking(lambda: 0))
        return lanes[-1]

    window = drive(open_lane, Closed(1), 0.5, 0.05)
    failed = window.code > 0
    assert failed.sum() > 2
    assert window.kinds == ("", "connection")
    assert window.messages[1] == "ConnectionResetError: gone"
    assert (window.done - window.sent)[failed].min() >= 0.005
    assert (~failed).sum() == pytest.approx(2 * failed.sum(), abs=2)
    assert all(lane.closed for lane in lanes)


def test_a_system_that_never_answers_gives_an_empty_window_not_a_hang() -> None:
    async def open_lane(_: int) -> Lane:
        raise ConnectionRefusedError("refused")

    for load in (Closed(3), at_rate(50)):
        window = drive(open_lane, load, 0.1, 0.05)
        assert len(window.completed) == 0
        assert window.throughput_per_s == 0
        assert (window.code > 0).all()
        assert set(window.kinds) == {"", "refused"}


def test_the_clock_does_not_wait_for_answers() -> None:
    """Requests due during a stall are charged from when they were due, not from their sending."""
    calls: list[float] = []

    def wait() -> float:
        calls.append(time.perf_counter())
        now = calls[-1] - calls[0]
        return max(0.01, 0.9 - now) if 0.4 < now < 0.9 else 0.01

    async def open_lane(_: int) -> Lane:
        return Sleeper(wait)

    window = drive(open_lane, at_rate(100, "fixed"), 1.2, 0.1, max_lanes=4)
    assert len(window.due) == 120
    late = scheduled(window)
    assert (late > 0.1).sum() > 30  # half a second's arrivals
    assert (service(window) > 0.1).sum() < (late > 0.1).sum() / 2  # but for the four it held
    assert late.max() > 0.4


def test_a_trace_is_replayed_whole_and_at_its_times(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("offset_s\n10.0\n10.05\n10.05\n11.2\n")
    window = drive(sleeping(0.01), from_trace(path), seconds=9, warmup_s=9)
    assert window.due == pytest.approx([0, 0.05, 0.05, 1.2])
    assert window.seconds == pytest.approx(1.6)
    assert (window.sent >= window.due).all()
    assert (window.sent - window.due).max() < 1  # what came first did not wait for the last


def test_a_request_that_finds_no_connection_in_time_is_a_timeout() -> None:
    window = drive(sleeping(0.4), at_rate(50, "fixed"), 0.5, 0, max_lanes=1, timeout_s=0.3)
    assert "timeout" in window.kinds
    late = window.code == window.kinds.index("timeout")
    assert late.sum() > 10
    assert scheduled(window)[late[window.timed]].min() >= 0.3
    assert len(window.due) == 25


def test_the_clients_own_lateness_is_seen() -> None:
    class Blocking(Sleeper):
        async def ask(self, turn: int) -> int:
            time.sleep(0.03)  # holds up the whole client
            return turn

    async def open_lane(_: int) -> Lane:
        return Blocking(lambda: 0)

    window = drive(open_lane, at_rate(100, "fixed"), 0.3, 0)
    assert np.percentile(lag(window), 99) > 0.1


def test_a_share_of_the_answers_is_kept_with_their_inputs() -> None:
    window = drive(sleeping(0.002), Closed(2), 0.4, 0.05, share=0.25)
    assert all(turn == answer for turn, answer in window.samples)
    assert len(window.samples) == pytest.approx(0.25 * len(window.due), abs=2)


@pytest.mark.parametrize("at_once", [1, 3])
def test_in_process_calls_run_only_so_many_at_once_and_in_turn(at_once: int) -> None:
    running, most, lock = 0, 0, threading.Lock()
    numbers, ran = itertools.count(), []

    def function(feeds: Mapping[str, np.ndarray]) -> None:
        nonlocal running, most
        with lock:
            ran.append(int(feeds["x"][0]))
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    class Noted:
        def __init__(self, lane: Lane) -> None:
            self.lane, self.close = lane, lane.close

        async def ask(self, _: int) -> object:
            return await self.lane.ask(next(numbers))

    rows = [{"x": np.array([number])} for number in range(10_000)]
    with in_process("pytorch", function, rows, at_once) as system:

        async def open_lane(index: int) -> Lane:
            return Noted(await system.open_lane(index))

        window = drive(open_lane, Closed(9), 0.4, 0.1)
    assert most == at_once
    assert service(window).min() >= 0.01
    # Nobody overtakes but those who, taken up before, have not come to note it.
    assert all(number - place < at_once for place, number in enumerate(ran))
