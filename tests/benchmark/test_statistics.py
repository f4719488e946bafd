"""The benchmark's numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from vigil.benchmark.load import Load
from vigil.benchmark.statistics import ServerCounters, batch_gains, batch_sizes, summarize
from vigil.session import Array


def window(latencies_ms: list[float], errors: int = 0) -> Load:
    return Load(4, 2.0, np.array(latencies_ms) / 1e3, errors, "")


def test_a_row_holds_percentiles_in_milliseconds() -> None:
    row = summarize("pytorch", "in_process", window([float(i) for i in range(1, 102)], errors=3))
    assert (row.n, row.errors, row.concurrency) == (101, 3, 4)
    assert row.throughput_per_s == pytest.approx(50.5)
    found = [row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms, row.max_ms]
    assert found == pytest.approx([51, 91, 96, 100, 101])
    assert row.queue_ms is None


def test_a_window_without_answers_has_no_percentiles() -> None:
    row = summarize("pytorch", "in_process", window([], errors=9))
    assert (row.n, row.throughput_per_s, row.p99_ms, row.errors) == (0, 0, None, 9)


def test_server_counters_are_differences_per_request() -> None:
    earlier = ServerCounters(100, 50, 60, 10_000_000, 20_000_000)
    later = ServerCounters(180, 60, 100, 90_000_000, 220_000_000)
    row = summarize("triton_dynamic_batching", "grpc", window([1.0]), later.since(earlier))
    assert row.executed_batch_mean == pytest.approx(8)
    assert row.queue_ms == pytest.approx(2)
    assert row.compute_infer_ms == pytest.approx(5)


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
    monkeypatch.setattr("vigil.benchmark.statistics.time.perf_counter", lambda: network.now)
    row = {"x": np.zeros((1, 2), np.float32)}
    gains = batch_gains(network, row, [4, 16], seconds=3000)  # type: ignore[arg-type]
    assert [gain.batch for gain in gains] == [1, 4, 16]
    assert [gain.throughput_per_s for gain in gains] == pytest.approx([1 / 5, 4 / 8, 16 / 20])
    assert [gain.gain for gain in gains] == pytest.approx([1, 2.5, 4])
