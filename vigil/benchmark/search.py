"""The highest rate that a system serves with p99 below a bound: its goodput."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vigil.benchmark.statistics import scheduled
from vigil.benchmark.window import Window

_CLOSE = 1.05  # how near both ends must come
_GROWTH = 1.5


@dataclass(frozen=True)
class Probe:
    """One rate that was tried.

    Attributes:
        rate_per_s: requests per second offered.
        p99_ms: from when they were due; None when nothing was answered.
        good_per_s: answers per second that came within the bound.
        kept: whether p99 kept the bound, without a failed request.
    """

    rate_per_s: float
    p99_ms: float | None
    good_per_s: float
    kept: bool


@dataclass(frozen=True)
class Goodput:
    """What a search found.

    Attributes:
        system: name.
        protocol: how it was asked.
        bound_ms: for p99.
        rate_per_s: highest rate that kept it, confirmed by a second window; 0 for none.
        good_per_s: answers within the bound there.
        probes: everything tried, in order.
    """

    system: str
    protocol: str
    bound_ms: float
    rate_per_s: float
    good_per_s: float
    probes: tuple[Probe, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def judge(window: Window, rate_per_s: float, bound_ms: float, batch: int = 1) -> Probe:
    """Hold one window of an open loop against the bound.

    Args:
        window: measured.
        rate_per_s: what was offered.
        bound_ms: for p99 from when requests were due.
        batch: rows of a request, for the answers per second.
    """
    waited = scheduled(window) * 1e3
    failed = int((window.code > 0).sum())
    p99 = float(np.percentile(waited, 99)) if len(waited) else None
    good = int((((window.done - window.due) * 1e3 <= bound_ms) & (window.code == 0)).sum())
    kept = p99 is not None and p99 <= bound_ms and failed == 0
    return Probe(rate_per_s, p99, batch * good / window.seconds, kept)


def search(
    probe: Callable[[float, int], Probe], guess_per_s: float, most_probes: int = 12
) -> tuple[float, float, tuple[Probe, ...]]:
    """Find the highest rate that keeps the bound.

    Goes up or down from a guess by half until the bound lies between two rates, halves the gap
    until they are within 5 %, and asks for the best a second time; the last try asks for that too.
    Where the second time fails it goes on between the next best, kept once before, and that rate.

    Args:
        probe: measures a rate, given the number of the try.
        guess_per_s: where to begin.
        most_probes: tries at most.

    Returns:
        The rate (0 where none was confirmed), its answers within the bound per second, and all
        tries.
    """
    tried: list[Probe] = []
    kept: list[Probe] = []  # rates that kept the bound once, ascending, all below `high`
    high = float("inf")
    rate = guess_per_s
    while len(tried) < most_probes:
        found = probe(rate, len(tried))
        tried.append(found)
        again = bool(kept) and rate == kept[-1].rate_per_s
        if again and found.kept:
            return rate, found.good_per_s, tuple(tried)
        if found.kept:
            kept.append(found)
        else:
            high = rate
            if again:
                kept.pop()
        low = kept[-1].rate_per_s if kept else 0.0
        settled = high <= low * _CLOSE or len(tried) == most_probes - 1
        rate = low if low and settled else _between(low, high)
    return 0.0, 0.0, tuple(tried)


def _between(low: float, high: float) -> float:
    if high == float("inf"):
        return low * _GROWTH
    return (low * high) ** 0.5 if low else high / _GROWTH
