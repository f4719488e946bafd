"""What serving takes from the device, beside ONNX Runtime in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmark.test_report import row
from vigil.benchmark.limit import shares, table


def test_a_share_is_of_the_best_in_process_and_latency_of_a_single_caller() -> None:
    inside = [
        replace(row("onnxruntime", "in_process", 1, 50), p50_ms=20.0),
        replace(row("onnxruntime", "in_process", 4, 100), p50_ms=40.0),
        replace(row("onnxruntime", "in_process", 1, 80), batch=8, p50_ms=90.0),
    ]
    served = [
        replace(row("triton_no_batching", "http", 1, 45), p50_ms=20.7),
        replace(row("triton_no_batching", "http", 4, 96), p50_ms=41.0),
        replace(row("triton_no_batching", "http_shm", 4, 97), p50_ms=41.0),
        replace(row("triton_no_batching", "http", 1, 78), batch=8, p50_ms=91.5),
    ]
    one, shm, batch = shares(inside + served)
    assert (one.of_limit, one.of_batch, one.wanted) == (0.96, 0.96, 0.95)
    assert one.low == pytest.approx(0.96 * 0.98 / 1.02)
    assert one.added_ms == pytest.approx(0.7)
    assert (shm.of_limit, shm.wanted, shm.added_ms) == (0.97, 0.98, None)
    assert (batch.of_limit, batch.of_batch) == (0.78, 0.975)
    assert batch.added_ms == pytest.approx(1.5)
    lines = table([one, shm, batch]).splitlines()[2:]
    assert "0.95 met | 0.960 | 0.70 ms, met" in lines[0]
    assert "0.98 MISSED" in lines[1]
    assert "1.50 ms, MISSED" in lines[2]


def test_without_a_limit_there_is_no_share() -> None:
    assert shares([row("triton_no_batching", "http", 1, 45)]) == []
    assert table([]) == ""
