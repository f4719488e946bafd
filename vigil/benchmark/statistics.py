"""Numbers of a measurement: percentiles, intervals, and whether windows agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.benchmark.schedule import Seconds
from vigil.benchmark.window import Window

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 100.0)
CURVE = (0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99, 100.0)
_BLOCKS = 10  # of each window, resampled whole: neighbors in time resemble one another
_RESAMPLES = 200
Interval = tuple[float, float]


def service(window: Window) -> Seconds:
    """Return how long each timed request took from its sending, in seconds."""
    return (window.done - window.sent)[window.timed]


def scheduled(window: Window) -> Seconds:
    """Return how long each timed request took from when it was due, in seconds.

    What a caller of its own accord would have waited: a stall of the server counts for all who came
    meanwhile, not only for the one whose request it held.
    """
    return (window.done - window.due)[window.timed]


def lag(window: Window) -> Seconds:
    """Return how late the client sent each request though a connection was free, in seconds."""
    return window.sent - window.ready


def percentiles_ms(seconds: Seconds, at: Sequence[float] = PERCENTILES) -> list[float | None]:
    """Return percentiles in milliseconds, None each for no values."""
    if not len(seconds):
        return [None] * len(at)
    return [float(value) * 1e3 for value in np.percentile(seconds, at)]


def spread(values: Sequence[float]) -> float:
    """Return the largest distance of a value from their mean, as a share of the mean.

    Infinite where that says nothing: no values, or a mean of zero.
    """
    mean = float(np.mean(values)) if values else 0.0
    if not mean > 0:
        return float("inf")
    return float(np.abs(np.array(values) - mean).max() / mean)


def agree(
    windows: Sequence[Window], tolerance: float, by_clock: bool = False, last: int = 3
) -> tuple[bool, float]:
    """Tell whether the last windows agree in throughput and in median latency.

    Args:
        windows: in order.
        tolerance: largest spread, e.g. 0.1.
        by_clock: the load came by the clock: throughput is then taken as the share of what was
            offered, for the rest is the arrivals' chance.
        last: how many must agree.

    Returns:
        The verdict, and the larger of the two spreads of the last windows.
    """
    tail = windows[-last:]
    rates, medians = [], []
    for window in tail:
        latency = scheduled(window)
        offered = max(len(window.due), 1) / window.seconds if by_clock else 1.0
        rates.append(window.throughput_per_s / offered)
        medians.append(float(np.median(latency)) if len(latency) else 0.0)
    found = max(spread(rates), spread(medians))
    return len(tail) == last and found <= tolerance, found


def throughput_interval(windows: Sequence[Window], seed: int = 0) -> Interval:
    """Return a 95 % interval of the requests per second, by resampling blocks of time."""
    rates = np.concatenate(
        [
            np.histogram(w.completed, _BLOCKS, (0, w.seconds))[0] / (w.seconds / _BLOCKS)
            for w in windows
        ]
    )
    rng = np.random.default_rng(seed)
    picked = rng.integers(0, len(rates), (_RESAMPLES * 5, len(rates)))
    low, high = np.percentile(rates[picked].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def latency_intervals(
    windows: Sequence[Window],
    latency: Callable[[Window], Seconds],
    at: Sequence[float],
    seed: int = 0,
) -> list[Interval | None]:
    """Return 95 % intervals in milliseconds of percentiles, by resampling blocks of time.

    Args:
        windows: measured.
        latency: `service` or `scheduled`.
        at: percentiles.
        seed: of the resampling.
    """
    blocks: list[NDArray[np.float64]] = []
    for window in windows:
        edges = np.linspace(0, window.seconds, _BLOCKS + 1)[1:-1]
        places = np.searchsorted(edges, window.due[window.timed])
        values = latency(window)
        blocks += [values[places == place] for place in range(_BLOCKS)]
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return [None] * len(at)
    rng = np.random.default_rng(seed)
    found = np.empty((_RESAMPLES, len(at)))
    for turn in range(_RESAMPLES):
        picked = rng.integers(0, len(blocks), len(blocks))
        found[turn] = np.percentile(np.concatenate([blocks[i] for i in picked]), at)
    low, high = np.percentile(found * 1e3, (2.5, 97.5), axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def timeline(windows: Sequence[Window], blocks: int = _BLOCKS) -> list[tuple[float, ...]]:
    """Return (second, answers per second, median ms, p99 ms) of each block of each window.

    Seconds count measured time only; latency is from when requests were due. A block without a
    timed request has not-a-number for its latencies.
    """
    rows: list[tuple[float, ...]] = []
    began = 0.0
    for window in windows:
        edges = np.linspace(0, window.seconds, blocks + 1)
        rates = np.histogram(window.completed, edges)[0] / (window.seconds / blocks)
        places = np.searchsorted(edges[1:-1], window.due[window.timed])
        latency = scheduled(window) * 1e3
        for place in range(blocks):
            mine = latency[places == place]
            quantiles = np.percentile(mine, (50, 99)) if len(mine) else (np.nan, np.nan)
            at = began + float(edges[place])
            rows.append((at, float(rates[place]), float(quantiles[0]), float(quantiles[1])))
        began += window.seconds
    return rows
