"""Windows of several systems by turns, until each system's last three agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from vigil.benchmark.counters import ServerCounters
from vigil.benchmark.generator import drive
from vigil.benchmark.row import Measured, Row, summarize
from vigil.benchmark.schedule import Load, Open
from vigil.benchmark.statistics import agree
from vigil.benchmark.systems import System
from vigil.benchmark.usage import Usage, read_usage
from vigil.config import BenchmarkSection
from vigil.errors import ServerError, ServerUnavailable

MOST_LANES = 256
_LEAST_WINDOWS = 3
_LEAST_FAILURES = 3
_GONE = {"refused", "connection"}
OnWindow = Callable[[System, Load, int], None]


def measure_window(system: System, load: Load, params: BenchmarkSection, turn: int) -> Measured:
    """Measure one window, with what server and machine counted meanwhile.

    Args:
        system: what to ask.
        load: under what load.
        params: lengths, limits, and the share of answers to check.
        turn: the round's number.
    """
    counted: list[ServerCounters | None] = []
    used: list[Usage] = []

    def edge() -> None:
        found: ServerCounters | None = None
        if system.counters is not None:
            with suppress(ServerError):  # a server that died counts no more
                found = system.counters()
        counted.append(found)
        used.append(read_usage(list(system.processes)))

    window = drive(
        system.open_lane,
        load,
        params.window_s,
        params.warmup_s,
        turn=turn,
        share=params.check_share,
        timeout_s=params.timeout_s,
        max_lanes=MOST_LANES,
        on_edge=edge,
    )
    wrong = [why for index, answer in window.samples if (why := system.wrong(index, answer))]
    before, after = counted[0], counted[-1]
    between = after.since(before) if before is not None and after is not None else None
    return Measured(window, between, used[0], used[-1], tuple(wrong), len(window.samples))


def measure_point(
    points: Sequence[tuple[System, Load]],
    params: BenchmarkSection,
    on_row: Callable[[Row], None],
    on_window: OnWindow = lambda *_: None,
) -> None:
    """Measure several systems, each under its load, a window of each in turn.

    So whatever else the machine does falls on all alike. A system whose last three windows agree,
    or that had its most, leaves the round.

    Args:
        points: what to compare.
        params: see `BenchmarkSection`.
        on_row: takes each system's row; also of what was measured when an error ends it early.
        on_window: called before each window with system, load and the window's number from 1.

    Raises:
        ServerUnavailable: nobody answers a system's requests any more.
    """
    waiting = {index: list[Measured]() for index in range(len(points))}

    def retire(index: int) -> None:
        if found := waiting.pop(index):
            limits = params.agreement, params.max_lag_ms
            on_row(summarize(*points[index], found, *limits))

    try:
        for turn in range(params.max_windows):
            for index in list(waiting):
                system, load = points[index]
                on_window(system, load, turn + 1)
                found = measure_window(system, load, params, params.seed + turn)
                waiting[index].append(found)
                if _gone(found):
                    raise ServerUnavailable(
                        f"benchmark: {system.name}: the server is gone: {found.window.messages[-1]}"
                    )
                if _enough(waiting[index], load, params):
                    retire(index)
    finally:
        for index in list(waiting):
            retire(index)


def _enough(measured: Sequence[Measured], load: Load, params: BenchmarkSection) -> bool:
    if len(measured) < min(_LEAST_WINDOWS, params.max_windows):
        return False
    windows = [one.window for one in measured]
    stable, _ = agree(windows, params.agreement, isinstance(load, Open))
    return stable or len(measured) == params.max_windows


def _gone(measured: Measured) -> bool:
    """Tell whether the window's last requests all failed for want of a server."""
    window = measured.window
    codes = window.code[np.argsort(window.done)]
    answered = np.flatnonzero(codes == 0)
    tail = codes[answered[-1] + 1 :] if len(answered) else codes
    kinds = {window.kinds[code] for code in tail}
    return len(tail) >= min(_LEAST_FAILURES, len(codes)) > 0 and kinds <= _GONE
