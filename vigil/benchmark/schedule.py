"""When requests are made: by callers that wait for their answers, or by the clock."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

Seconds = NDArray[np.float64]
Arrivals = Literal["fixed", "poisson"]


@dataclass(frozen=True)
class Closed:
    """A fixed number of callers, each asking again as soon as it is answered.

    Attributes:
        concurrency: callers.
    """

    concurrency: int
    name: str = field(default="closed", init=False)


@dataclass(frozen=True)
class Open:
    """Requests that come when they come, whether or not earlier ones were answered.

    Attributes:
        name: `fixed`, `poisson` or `trace`.
        rate_per_s: requests offered per second.
        offsets: takes seconds and a round's number, returns ascending offsets in seconds from the
            beginning, all below those seconds.
        seconds: length of one round where the schedule sets it (a trace); None where it does not.
    """

    name: str
    rate_per_s: float
    offsets: Callable[[float, int], Seconds]
    seconds: float | None = None


Load = Closed | Open


def at_rate(rate_per_s: float, arrivals: Arrivals = "poisson", seed: int = 0) -> Open:
    """Return an open loop at a mean rate.

    Args:
        rate_per_s: requests per second.
        arrivals: `fixed` intervals, or those of a `poisson` process.
        seed: of the Poisson process; a round's number is added.

    Raises:
        InputError: the rate is not positive.
    """
    if not 0 < rate_per_s < float("inf"):
        raise InputError(f"benchmark: rate: expected a positive number, got {rate_per_s:g}")

    def fixed(seconds: float, _: int) -> Seconds:
        return np.arange(int(np.ceil(seconds * rate_per_s))) / rate_per_s

    def poisson(seconds: float, turn: int) -> Seconds:
        rng = np.random.default_rng((seed, turn))
        count = int(seconds * rate_per_s + 6 * np.sqrt(seconds * rate_per_s) + 10)
        times: Seconds = np.cumsum(rng.exponential(1 / rate_per_s, count))
        return times[: int(np.searchsorted(times, seconds))]

    return Open(arrivals, rate_per_s, fixed if arrivals == "fixed" else poisson)


def from_trace(path: Path, speed: float = 1.0) -> Open:
    """Return an open loop that replays recorded times.

    Args:
        path: CSV with a column `offset_s`: seconds from any beginning, ascending.
        speed: 2 replays twice as fast.

    Raises:
        InputError: no such file or column, fewer than two rows, or times that go back.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            times = np.array([float(row["offset_s"]) for row in csv.DictReader(file)])
    except KeyError as error:
        raise InputError(f"{path}: expected a column offset_s, got none") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: expected a CSV of offset_s in seconds, got: {error}") from error
    if len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise InputError(f"{path}: offset_s: expected two or more ascending times")
    if not 0 < speed < float("inf"):
        raise InputError(f"benchmark: speed: expected a positive number, got {speed:g}")
    times = (times - times[0]) / speed
    length = float(times[-1]) * len(times) / (len(times) - 1)  # and the mean gap after the last
    if length <= 0:
        raise InputError(f"{path}: offset_s: expected times that differ")
    return Open("trace", len(times) / length, lambda _seconds, _turn: times, length)
