"""The load generator: one event loop that makes the requests of one window and times them.

The callers share the machine's cores with the server, so a request costs this side little:
it is serialized beforehand, and its answer is looked at after the window.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import selectors
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from vigil.benchmark.schedule import Closed, Load, Open
from vigil.benchmark.window import Log, Window

_POLL_S = 0.005
_WARMUP_LIMIT_S = 30.0  # after which the window opens though a caller still waits
_FAILED_PAUSE_S = 0.01
_FIRST_LANES = 16
_YIELD_EVERY = 16
_SELECT_LIMIT = 1024  # file descriptors that select() knows
_SPARE = 64  # of them for what else is opened meanwhile
_now = time.perf_counter


class Lane(Protocol):
    """A connection that carries one request at a time."""

    async def ask(self, turn: int) -> Any:
        """Make the request of input `turn` (any number; inputs go round) and return its answer.

        Raises:
            TimeoutError: no answer within the time limit.
            Exception: whatever else went wrong.
        """

    def close(self) -> None:
        """Hang up."""


OpenLane = Callable[[int], Awaitable[Lane]]
Hook = Callable[[], None]


def drive(
    open_lane: OpenLane,
    load: Load,
    seconds: float,
    warmup_s: float,
    *,
    turn: int = 0,
    share: float = 0.0,
    timeout_s: float = 120.0,
    max_lanes: int = 256,
    on_edge: Hook = lambda: None,
) -> Window:
    """Load a system and measure one window.

    With callers, the window opens once `warmup_s` have passed and every caller was answered at
    least once, and stays open for `seconds`, or for a slow system until there are as many answers
    as callers, ten times as long at most. By the clock, it is as long as it is said to be.

    Args:
        open_lane: opens the connection of one caller, by its index.
        load: callers or clock.
        seconds: length of the window.
        warmup_s: load before it, not counted.
        turn: the round's number: moves the first input, and the seed of the clock.
        share: of the answers to keep, for comparison with what is right.
        timeout_s: a request of the clock's that finds no connection so long is a timeout too.
        max_lanes: most connections for a load by the clock.
        on_edge: called, in another thread, as the window opens and when its last answer is there.

    Returns:
        The window.
    """
    lanes = load.concurrency if isinstance(load, Closed) else max_lanes
    ask, watch = _Ask(open_lane, Log(), share), _Watch(lanes)
    run: _Callers | _Clock
    if isinstance(load, Closed):
        run = _Callers(ask, watch, load, turn)
    else:
        run = _Clock(ask, watch, load, turn, max_lanes, timeout_s)
    gc.collect()
    gc.disable()  # a collection in the middle would be somebody's latency
    try:
        with asyncio.Runner(loop_factory=watch.loop) as runner:
            return runner.run(run.window(seconds, warmup_s, on_edge))
    finally:
        gc.enable()


def _next_descriptor() -> int:
    """Return the number that the next open file will have."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


class _Watch:
    """Reads what the client itself spends: processor time, and time in which it did not wait."""

    def __init__(self, lanes: int) -> None:
        # select() has timers exact to microseconds; epoll's go by milliseconds.
        exact = _next_descriptor() + lanes + _SPARE < _SELECT_LIMIT
        self.selector = selectors.SelectSelector() if exact else selectors.DefaultSelector()
        self.idle = 0.0
        self._select = self.selector.select
        self.selector.select = self._idle  # type: ignore[method-assign]

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return an event loop whose waiting is watched."""
        return asyncio.SelectorEventLoop(self.selector)

    def read(self) -> tuple[float, float]:
        """Return processor seconds of the process, and seconds the loop was busy, so far."""
        return time.process_time(), _now() - self.idle

    def _idle(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._select(timeout)  # there is work: this is no waiting
        began = _now()
        try:
            return self._select(timeout)
        finally:
            self.idle += _now() - began


class _Ask:
    """Asks once, writes down what came of it, and keeps a share of the answers."""

    def __init__(self, open_lane: OpenLane, log: Log, share: float) -> None:
        self.open_lane, self.log = open_lane, log
        self.stride = round(1 / share) if share > 0 else 0
        self.opened = float("inf")

    async def __call__(
        self, index: int, lane: Lane | None, turn: int, due: float, ready: float
    ) -> Lane | None:
        """Return the lane to go on with, None when it broke."""
        sent = _now()
        try:
            if lane is None:
                lane = await self.open_lane(index)
                sent = _now() if due < self.opened else sent  # a first connection is no latency
            answer = await lane.ask(turn)
            done = _now()
        except Exception as error:  # whatever a system raises is a failed request, and counted
            self.log.failed(due, ready, sent, _now(), error)
            if lane is not None:
                lane.close()
            return None
        self.log.answered(due, ready, sent, done)
        if self.stride and done >= self.opened and self.log.count % self.stride == 0:
            self.log.keep(done, turn, answer)
        return lane


class _Callers:
    """A closed loop."""

    def __init__(self, ask: _Ask, watch: _Watch, load: Closed, turn: int) -> None:
        self.ask, self.watch, self.log = ask, watch, ask.log
        self.concurrency, self.turn, self.stopped = load.concurrency, turn, False
        self.answered: set[int] = set()

    async def window(self, seconds: float, warmup_s: float, on_edge: Hook) -> Window:
        """Run it and return what was measured."""
        async with asyncio.TaskGroup() as group:
            for index in range(self.concurrency):
                group.create_task(self._call(index))
            await self._warm(warmup_s)
            await asyncio.to_thread(on_edge)
            opened = self.ask.opened = _now()
            spent, before = self.watch.read(), self.log.count
            await asyncio.sleep(seconds)
            while self.log.count - before < self.concurrency and _now() - opened < 10 * seconds:
                await asyncio.sleep(_POLL_S)
            closed, self.stopped = _now(), True
            cost = _since(spent, self.watch.read())
        await asyncio.to_thread(on_edge)
        return self.log.window(opened, closed, self.concurrency, *cost)

    async def _warm(self, warmup_s: float) -> None:
        began = _now()
        while (spent := _now() - began) < max(warmup_s, _WARMUP_LIMIT_S):
            if spent >= warmup_s and len(self.answered) == self.concurrency:
                return
            await asyncio.sleep(_POLL_S)

    async def _call(self, index: int) -> None:
        lane: Lane | None = None
        turn = self.turn + index
        try:
            while not self.stopped:
                free = _now()
                lane = await self.ask(index, lane, turn, free, free)
                self.answered.add(index)
                turn += 1
                if lane is None:
                    await asyncio.sleep(_FAILED_PAUSE_S)
        finally:
            if lane is not None:
                lane.close()


class _Clock:
    """An open loop."""

    def __init__(
        self, ask: _Ask, watch: _Watch, load: Open, turn: int, lanes: int, timeout_s: float
    ) -> None:
        self.ask, self.watch, self.log = ask, watch, ask.log
        self.load, self.turn, self.timeout_s = load, turn, timeout_s
        self.idle: list[tuple[int, Lane | None]] = [(i, None) for i in reversed(range(lanes))]
        self.waiting: deque[tuple[float, int]] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.lanes, self.most = lanes, 0

    async def window(self, seconds: float, warmup_s: float, on_edge: Hook) -> Window:
        """Run it and return what was measured."""
        warmup_s = 0.0 if self.load.seconds is not None else warmup_s
        seconds = self.load.seconds or seconds
        offsets = self.load.offsets(warmup_s + seconds, self.turn).tolist()
        await asyncio.to_thread(on_edge)
        try:
            await self._connect()
            began = _now() + _POLL_S
            opened = self.ask.opened = began + warmup_s
            closed = opened + seconds
            spent = await self._send(began, offsets, warmup_s)
            await asyncio.sleep(max(0.0, closed - _now()))
            cost = _since(spent, self.watch.read())
            late = max(1.0, (_now() - opened) / seconds)  # the client did not keep up
            while self.tasks:
                await asyncio.wait(self.tasks)
        finally:
            for _, lane in self.idle:
                if lane is not None:
                    lane.close()
        await asyncio.to_thread(on_edge)
        return self.log.window(opened, closed, self.most, cost[0] / late, cost[1] / late)

    async def _connect(self) -> None:
        """Open a few connections beforehand; what fails here fails again, and is counted then."""
        for place in range(1, min(_FIRST_LANES, self.lanes) + 1):
            index, _ = self.idle[-place]
            with contextlib.suppress(Exception):
                self.idle[-place] = (index, await self.ask.open_lane(index))

    async def _send(
        self, began: float, offsets: list[float], warmup_s: float
    ) -> tuple[float, float]:
        """Make every request when it is due; return the cost so far as the window opened."""
        spent = self.watch.read()
        for number, offset in enumerate(offsets):
            if (left := began + offset - _now()) > 0:
                await asyncio.sleep(left)
            elif number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)  # behind: answers are to be read all the same
            if offset < warmup_s:
                spent = self.watch.read()
            self._start(began + offset, self.turn + number)
        return spent

    def _start(self, due: float, turn: int) -> None:
        if not self.idle:
            self.waiting.append((due, turn))
            return
        index, lane = self.idle.pop()
        self.most = max(self.most, self.lanes - len(self.idle))
        task = asyncio.get_running_loop().create_task(self._serve(index, lane, due, turn))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, index: int, lane: Lane | None, due: float, turn: int) -> None:
        lane = await self.ask(index, lane, turn, due, due)
        while self.waiting:
            due, turn = self.waiting.popleft()
            free = _now()
            if free - due > self.timeout_s:
                late = TimeoutError("no connection was free within the time limit")
                self.log.failed(due, due, due, free, late)
            else:
                lane = await self.ask(index, lane, turn, due, max(free, due))
        self.idle.append((index, lane))


def _since(before: tuple[float, float], after: tuple[float, float]) -> tuple[float, float]:
    return after[0] - before[0], after[1] - before[1]
