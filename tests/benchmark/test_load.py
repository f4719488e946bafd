"""The load generator: closed loop, counted inside the window only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from vigil.benchmark.load import closed_loop
from vigil.benchmark.systems import Turnstile, in_process


def sleeper(seconds: float) -> Callable[[int], object]:
    @contextmanager
    def make_call(_: int) -> Iterator[Callable[[], None]]:
        yield lambda: time.sleep(seconds)

    return make_call


def test_each_caller_waits_for_its_answer_before_asking_again() -> None:
    running, most, lock = 0, 0, threading.Lock()

    @contextmanager
    def make_call(_: int) -> Iterator[Callable[[], None]]:
        def call() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

        yield call

    load = closed_loop(make_call, concurrency=5, seconds=0.5, warmup_s=0.1)
    assert most == 5
    assert load.latency_s.min() >= 0.02
    assert 0.2 * 125 < len(load.latency_s) <= 130  # 5 callers, 0.02 s each, 0.5 s


def test_throughput_is_completed_requests_over_the_window() -> None:
    load = closed_loop(sleeper(0.05), concurrency=2, seconds=0.6, warmup_s=0)
    assert load.throughput_per_s == pytest.approx(len(load.latency_s) / load.window_s)
    assert load.window_s >= 0.6


def test_the_window_opens_only_when_every_caller_was_answered() -> None:
    turn = Turnstile(1)
    answered: set[int] = set()

    @contextmanager
    def make_call(index: int) -> Iterator[Callable[[], None]]:
        def call() -> None:
            with turn:
                time.sleep(0.02)
                answered.add(index)

        yield call

    seen: list[int] = []
    closed_loop(make_call, 12, 0.05, 0.0, lambda: seen.append(len(answered)))
    assert seen[0] == 12
    assert len(seen) == 2


def test_a_slow_system_keeps_the_window_open_until_callers_were_answered() -> None:
    load = closed_loop(sleeper(0.2), concurrency=3, seconds=0.05, warmup_s=0)
    assert len(load.latency_s) >= 3
    assert load.window_s < 1


@pytest.mark.parametrize("at_once", [1, 3])
def test_in_process_calls_run_only_so_many_at_once_and_in_turn(at_once: int) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def function(_: object) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    system = in_process("pytorch", function, [{}], at_once)
    load = closed_loop(system.make_call, concurrency=9, seconds=0.4, warmup_s=0.1)
    assert most == at_once
    # Each waits for the eight others: nobody overtakes, so no answer is quick and none is late.
    assert load.latency_s.min() > 0.9 * 0.09 / at_once
    assert load.latency_s.max() < 5 * load.latency_s.min()


def test_failures_are_counted_and_the_call_is_opened_anew() -> None:
    opened = 0

    @contextmanager
    def make_call(_: int) -> Iterator[Callable[[], None]]:
        nonlocal opened
        opened += 1
        calls = 0

        def call() -> None:
            nonlocal calls
            calls += 1
            time.sleep(0.005)
            if calls == 3:
                raise ConnectionError("gone")

        yield call

    load = closed_loop(make_call, concurrency=1, seconds=0.5, warmup_s=0.05)
    assert load.errors > 2
    assert load.first_error == "ConnectionError: gone"
    assert opened > load.errors
    assert len(load.latency_s) == pytest.approx(2 * load.errors, abs=2)


def test_a_system_that_never_answers_gives_an_empty_window_not_a_hang() -> None:
    @contextmanager
    def make_call(_: int) -> Iterator[Callable[[], None]]:
        raise OSError("refused")
        yield

    load = closed_loop(make_call, concurrency=3, seconds=0.1, warmup_s=0.05)
    assert len(load.latency_s) == 0
    assert load.throughput_per_s == 0
    assert load.errors > 0
