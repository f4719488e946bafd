"""The benchmark's numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.benchmark.counters import ServerCounters
from vigil.benchmark.gain import batch_gains, batch_sizes
from vigil.benchmark.row import FLAT, Measured, summarize
from vigil.benchmark.schedule import Closed, at_rate, from_trace
from vigil.benchmark.statistics import agree, latency_intervals, service, throughput_interval
from vigil.benchmark.systems import System
from vigil.benchmark.usage import Usage
from vigil.benchmark.window import Window
from vigil.errors import InputError
from vigil.session import Array


def window(latencies_ms: list[float], seconds: float = 2.0, late_ms: float = 0.0) -> Window:
    """Return requests sent at even distances, each answered after its latency."""
    due = np.linspace(0, seconds, len(latencies_ms), endpoint=False)
    sent = due + late_ms / 1e3
    done = sent + np.array(latencies_ms) / 1e3
    code = np.zeros(len(due), np.int64)
    return Window(4, seconds, due, due, sent, done, code, ("",), ("",), np.sort(done))


def system(protocol: str = "http", batch: int = 1) -> System:
    async def open_lane(_: int) -> object:
        raise AssertionError("not to be asked")

    return System("known", protocol, batch, open_lane)  # type: ignore[arg-type]


def one(seen: Window, counted: ServerCounters | None = None) -> Measured:
    return Measured(seen, counted, Usage(1.0, 0.5), Usage(2.0, 0.7))


def test_a_row_holds_percentiles_in_milliseconds() -> None:
    row = summarize(system(), Closed(4), [one(window([float(i) for i in range(1, 102)]))])
    assert (row.n, row.errors, row.concurrency) == (101, 0, 4)
    assert row.throughput_per_s == pytest.approx(50.5)
    assert [row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms, row.max_ms] == pytest.approx(
        [51, 91, 96, 100, 101]
    )
    assert row.queue_ms is None
    assert row.schedule_p99_ms is None


def test_throughput_counts_rows_not_requests() -> None:
    row = summarize(system(batch=8), Closed(4), [one(window([5.0] * 100))])
    assert row.throughput_per_s == pytest.approx(8 * 50)
    assert row.throughput_high >= row.throughput_per_s >= row.throughput_low


def test_a_window_without_answers_has_no_percentiles() -> None:
    row = summarize(system(), Closed(4), [one(window([]))] * 3)
    assert (row.n, row.throughput_per_s, row.p99_ms, row.stable) == (0, 0, None, False)


def test_the_clocks_latency_counts_from_when_a_request_was_due() -> None:
    row = summarize(system(), at_rate(50), [one(window([10.0] * 100, late_ms=30))])
    assert row.p99_ms == pytest.approx(10)
    assert row.schedule_p99_ms == pytest.approx(40)
    assert row.lag_max_ms == pytest.approx(30)
    assert not row.valid
    assert "p99 of its lag is 30.0 ms" in row.why_invalid


def test_windows_that_agree_count_and_earlier_ones_do_not() -> None:
    slow, quick = window([100.0] * 20), window([10.0] * 100)
    row = summarize(system(), Closed(4), [one(slow), one(quick), one(quick), one(quick)])
    assert row.stable
    assert (row.n, row.windows) == (300, 4)
    assert (row.p99_ms, row.worst_ms) == pytest.approx((10, 100))
    unsettled = summarize(system(), Closed(4), [one(quick), one(slow), one(quick)])
    assert not unsettled.stable
    assert unsettled.n == 220
    assert unsettled.spread is not None
    assert unsettled.spread > 0.5


def test_wrong_answers_of_any_window_are_counted_among_those_checked_in_any() -> None:
    slow = replace(one(window([100.0] * 20)), wrong=("y",) * 4, checked=5)
    quick = replace(one(window([10.0] * 100)), checked=1)
    row = summarize(system(), Closed(4), [slow, quick, quick, quick])
    assert row.stable
    assert (row.wrong, row.checked) == (4, 8)


def test_by_the_clock_chance_arrivals_are_no_instability() -> None:
    windows = [window([10.0] * count) for count in (80, 100, 120)]
    assert not agree(windows, 0.1)[0]
    assert agree(windows, 0.1, by_clock=True)[0]


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=200))
def test_intervals_hold_their_values(latencies: list[float]) -> None:
    seen = window(latencies)
    low, high = throughput_interval([seen])
    assert low <= high
    found = latency_intervals([seen], service, (50, 100))
    assert found[1] is not None
    assert found[1][1] <= max(latencies) * 1.000001
    assert found[0] is not None
    assert min(latencies) * 0.999999 <= found[0][0] <= found[0][1]


def test_server_counters_are_differences_per_request() -> None:
    earlier = ServerCounters(100, 50, 60, 0, Counter(queue=10_000_000), Counter({1: 50}))
    later = ServerCounters(180, 60, 100, 2, Counter(queue=90_000_000), Counter({1: 50, 8: 10}))
    row = summarize(system(), Closed(4), [one(window([1.0]), later.since(earlier))])
    assert row.executed_batch_mean == pytest.approx(8)
    assert row.queue_ms == pytest.approx(2)
    assert row.batches == {8: 10}


def test_a_busy_client_makes_a_row_invalid() -> None:
    seen = window([1.0] * 100)
    busy = Window(**{**vars(seen), "client_busy_s": 1.9})
    assert "bottleneck" in summarize(system(), Closed(4), [one(busy)]).why_invalid
    assert summarize(system("in_process"), Closed(4), [one(busy)]).valid


def test_flat_columns_hold_no_lists() -> None:
    row = summarize(system(), Closed(4), [one(window([1.0] * 10))]).as_dict()
    assert not [name for name in FLAT if isinstance(row[name], list | dict)]


def test_a_fixed_rate_is_even_and_a_poisson_rate_has_its_mean_and_its_seed() -> None:
    assert np.diff(at_rate(10, "fixed").offsets(2, 0)) == pytest.approx(0.1)
    load = at_rate(200, "poisson", seed=3)
    times = load.offsets(50, 0)
    assert len(times) == pytest.approx(10_000, rel=0.05)
    assert np.std(np.diff(times)) == pytest.approx(1 / 200, rel=0.1)
    assert times.max() < 50
    assert np.array_equal(times, at_rate(200, "poisson", seed=3).offsets(50, 0))
    assert not np.array_equal(times[:9], load.offsets(50, 1)[:9])


def test_a_trace_is_replayed_at_its_times(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("offset_s\n7.0\n7.5\n9.0\n")
    load = from_trace(path, speed=2)
    assert load.offsets(0, 0).tolist() == [0, 0.25, 1]
    assert load.seconds == pytest.approx(1.5)
    assert load.rate_per_s == pytest.approx(2)


@pytest.mark.parametrize(
    "text", ["", "when\n1\n2\n", "offset_s\n1\n", "offset_s\n2\n1\n", "offset_s\nx\ny\n",
             "offset_s\n1\n1\n", "offset_s\nnan\n1\n"],
)  # fmt: skip
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="offset_s"):
        from_trace(path)
    with pytest.raises(InputError, match="positive"):
        at_rate(0)


@pytest.mark.parametrize(
    ("maximum", "sizes"), [(1, [1]), (8, [1, 4, 8]), (32, [1, 4, 16, 32]), (40, [1, 4, 16, 32, 40])]
)
def test_batch_sizes_end_at_the_largest_allowed(maximum: int, sizes: list[int]) -> None:
    assert batch_sizes(maximum) == sizes


class Clockwork:
    """A network and its clock: a run takes 4 s and 1 s more for every row; every fifth, 100 s."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, 0

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        self.now += 100 if self.runs % 5 == 0 else 4 + len(feeds["x"])
        return {}


def test_batch_gain_is_throughput_over_that_at_batch_one(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Clockwork()
    monkeypatch.setattr("vigil.benchmark.gain.time.perf_counter", lambda: network.now)
    row = {"x": np.zeros((1, 2), np.float32)}
    gains = batch_gains(network, row, [4, 16], seconds=3000)  # type: ignore[arg-type]
    assert [gain.batch for gain in gains] == [1, 4, 16]
    assert [gain.throughput_per_s for gain in gains] == pytest.approx([1 / 5, 4 / 8, 16 / 20])
    assert [gain.gain for gain in gains] == pytest.approx([1, 2.5, 4])
