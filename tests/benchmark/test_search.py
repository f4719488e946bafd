"""The search for the highest rate under a bound, on servers whose capacity is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.benchmark.test_statistics import window
from vigil.benchmark.search import Probe, judge, search


def server(capacity: float, lie_once_at: float = 0.0) -> Callable[[float, int], Probe]:
    """Return a probe that keeps the bound up to a capacity, and once more by luck above."""
    lied = []

    def probe(rate: float, _: int) -> Probe:
        lucky = bool(lie_once_at) and rate > capacity and not lied and rate < lie_once_at
        if lucky:
            lied.append(rate)
        return Probe(rate, 10.0, rate, rate <= capacity or lucky)

    return probe


@pytest.mark.parametrize("guess", [10.0, 95.0, 100.0, 900.0])
def test_the_rate_is_found_within_five_percent_and_confirmed(guess: float) -> None:
    rate, good, probes = search(server(100), guess, most_probes=30)
    assert 95 <= rate <= 100
    assert good == rate
    assert sum(probe.rate_per_s == rate for probe in probes) == 2


def test_a_lucky_window_is_not_believed() -> None:
    rate, _, probes = search(server(100, lie_once_at=125), 110, most_probes=30)
    assert probes[0].kept
    assert rate <= 100


def test_where_the_second_time_fails_the_next_best_rate_is_asked_for() -> None:
    """Within the usual number of tries: what was kept below is not tried from the beginning."""
    rate, _, probes = search(server(100, lie_once_at=110), 95)
    assert 95 <= rate <= 100
    assert sum(probe.rate_per_s == rate for probe in probes) == 2
    assert len(probes) <= 12


def test_the_last_try_confirms_the_best_so_far() -> None:
    rate, _, probes = search(server(1000), 10, most_probes=5)
    assert [probe.rate_per_s for probe in probes] == [10, 15, 22.5, 33.75, 33.75]
    assert rate == 33.75


def test_a_rate_that_was_never_confirmed_is_not_given() -> None:
    seen: set[float] = set()

    def fickle(rate: float, _: int) -> Probe:
        kept = rate not in seen
        seen.add(rate)
        return Probe(rate, 10.0, rate, kept)

    rate, good, probes = search(fickle, 100)
    assert (rate, good, len(probes)) == (0, 0, 12)


def test_a_bound_that_nothing_keeps_gives_zero() -> None:
    rate, good, probes = search(server(0), 100)
    assert (rate, good) == (0, 0)
    assert len(probes) == 12


def test_a_window_keeps_the_bound_by_its_scheduled_p99_without_failures() -> None:
    seen = window([10.0] * 99 + [80.0] * 1, late_ms=5)
    assert judge(seen, 50, bound_ms=60).kept
    assert not judge(seen, 50, bound_ms=14).kept
    assert judge(seen, 50, bound_ms=60, batch=4).good_per_s == pytest.approx(4 * 99 / 2)
    code = np.zeros(100, np.int64)
    code[3] = 1
    failed = type(seen)(**{**vars(seen), "code": code, "kinds": ("", "refused")})
    assert not judge(failed, 50, bound_ms=60).kept
