"""The report: its form, and a verdict that never claims more than the device gives."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from vigil.benchmark.report import Report, write
from vigil.benchmark.statistics import BatchGain, Row
from vigil.environment import describe

FIELDS = [
    "system", "protocol", "concurrency", "n", "throughput_per_s", "p50_ms", "p90_ms", "p95_ms",
    "p99_ms", "max_ms", "errors", "queue_ms", "compute_infer_ms", "executed_batch_mean",
]  # fmt: skip


def row(system: str, protocol: str, concurrency: int, rate: float) -> Row:
    server = system.startswith("triton")
    return Row(
        system, protocol, concurrency, int(rate * 2), rate, 1.0, 2.0, 3.0, 4.0, 5.0, 0,
        *((0.5, 0.7, 1.5) if server else (None, None, None)),
    )  # fmt: skip


def report(served: dict[str, float], gains: dict[int, float], max_batch: int = 16) -> Report:
    rows = [row("pytorch", "in_process", 1, 8), row("onnxruntime", "in_process", 1, 20)]
    for concurrency, scale in ((1, 1.0), (64, 1.0)):
        for protocol, gain in served.items():
            rows.append(row("triton_no_batching", protocol, concurrency, 20 * scale))
            wanted = gain if concurrency == 64 else 9.0  # a gain where there is no load is no gain
            rows.append(row("triton_dynamic_batching", protocol, concurrency, 20 * wanted))
    measured = [BatchGain(batch, 20 * gain, gain) for batch, gain in gains.items()]
    return Report("protogcn", describe() | {"providers": {}}, rows, measured, max_batch)


def test_a_gain_above_the_devices_is_not_claimed() -> None:
    found = report({"http": 1.6, "grpc": 1.5}, {1: 1.0, 4: 0.93, 16: 0.84})
    assert found.device_gain == 1.0
    assert found.served_gain == pytest.approx(1.5)
    assert found.claimed_gain == 1.0
    assert "the claim ends at 1.00" in found.verdict()
    assert "gains nothing from batching" in found.verdict()


def test_a_gain_the_device_gives_is_claimed() -> None:
    found = report({"grpc": 6.3}, {1: 1.0, 32: 9.8}, max_batch=32)
    assert found.claimed_gain == pytest.approx(6.3)
    assert "reached 6.30 times" in found.verdict()
    assert "gains nothing" not in found.verdict()


def test_a_batch_the_server_could_not_make_does_not_count() -> None:
    found = report({"grpc": 6.3}, {1: 1.0, 8: 4.0, 32: 9.8}, max_batch=8)
    assert found.claimed_gain == 4.0


def test_without_an_answer_there_is_no_verdict() -> None:
    found = report({"grpc": 2.0}, {1: 1.0})
    empty = Report(
        "m", {}, [r for r in found.rows if "no_batching" not in r.system], found.gains, 1
    )
    assert empty.claimed_gain is None
    assert empty.verdict().startswith("No verdict")


def test_json_and_csv_have_the_agreed_form(tmp_path: Path) -> None:
    found = report({"http": 1.0, "grpc": 0.9}, {1: 1.0, 16: 0.9})
    paths = write(tmp_path / "reports", found)
    assert [path.name for path in paths] == ["benchmark.json", "benchmark.csv", "benchmark.png"]
    loaded = json.loads(paths[0].read_text())
    assert {"environment", "rows", "batch_gain", "verdict"} <= set(loaded)
    assert list(loaded["rows"][0]) == FIELDS
    assert loaded["rows"][0]["queue_ms"] is None
    with paths[1].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == FIELDS
    assert len(lines) == len(loaded["rows"]) == len(found.rows)
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_the_table_puts_the_papers_figure_beside_ours() -> None:
    table = report({"grpc": 1.0}, {1: 1.0}).table()
    assert "| PyTorch, one by one | 8.0 (1, in_process) | 4.0 |  | 31.3 |" in table
    assert "| ONNX Runtime, in process | 20.0 (1, in_process) | 4.0 |  |  |" in table


def test_the_environment_says_what_it_ran_on() -> None:
    found = describe()
    assert {"cpu", "cores", "memory_gib", "gpu", "os", "python", "packages", "command"} == set(
        found
    )
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0
    assert "numpy" in found["packages"]
