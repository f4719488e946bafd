"""The report: its form, its page, and a verdict that never claims more than the device gives."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmark.test_statistics import one, system, window
from vigil.benchmark.claims import Goal, goals
from vigil.benchmark.gain import BatchGain
from vigil.benchmark.report import Report, write
from vigil.benchmark.row import FLAT, Row, summarize
from vigil.benchmark.schedule import Closed
from vigil.benchmark.search import Goodput, Probe
from vigil.environment import describe
from vigil.errors import InputError, ModelError, ServerError, ServerUnavailable

BASE = summarize(system(), Closed(4), [one(window([5.0] * 100))] * 3)


def row(name: str, protocol: str, concurrency: int, rate: float) -> Row:
    return replace(
        BASE, system=name, protocol=protocol, concurrency=concurrency, throughput_per_s=rate,
        throughput_low=rate * 0.98, throughput_high=rate * 1.02,
        executed_batch_mean=1.5 if name.startswith("triton") else None, batches={1: 5, 2: 5},
    )  # fmt: skip


def report(served: dict[str, float], gains: dict[int, float], max_batch: int = 16) -> Report:
    rows = [row("pytorch", "in_process", 1, 8), row("onnxruntime", "in_process", 1, 20)]
    for concurrency in (1, 64):
        for protocol, gain in served.items():
            rows.append(row("triton_no_batching", protocol, concurrency, 20))
            wanted = gain if concurrency == 64 else 9.0  # a gain where there is no load is no gain
            rows.append(row("triton_dynamic_batching", protocol, concurrency, 20 * wanted))
    measured = [BatchGain(batch, 20 * gain, gain) for batch, gain in gains.items()]
    environment = describe() | {"providers": {}, "sha256": {}, "flags": {}}
    return Report("protogcn", environment, rows, measured, max_batch)


def test_a_gain_above_the_devices_is_impossible_and_not_claimed() -> None:
    found = report({"http": 1.6, "grpc": 1.5}, {1: 1.0, 4: 0.93, 16: 0.84})
    assert found.device_gain == 1.0
    assert found.served_gain == pytest.approx(1.5)
    assert found.claimed_gain == 1.0
    assert "impossible" in found.verdict()
    assert "the claim ends at 1.00" in found.verdict()
    assert "gains nothing from batching" in found.verdict()
    assert [claim.possible for claim in found.claims] == [False] * 4
    assert found.as_dict()["claims"][-1]["share"] == pytest.approx(1.6)


def test_a_gain_the_device_gives_is_claimed_with_its_share() -> None:
    found = report({"grpc": 6.3}, {1: 1.0, 32: 9.0}, max_batch=32)
    assert found.claimed_gain == pytest.approx(6.3)
    assert "reached 6.30 times no batching, 0.70 of G(b)" in found.verdict()
    assert "gains nothing" not in found.verdict()


def test_a_batch_the_server_could_not_make_does_not_count() -> None:
    found = report({"grpc": 6.3}, {1: 1.0, 8: 4.0, 32: 9.8}, max_batch=8)
    assert found.claimed_gain == 4.0


def test_without_an_answer_there_is_no_verdict_on_batching() -> None:
    found = report({"grpc": 2.0}, {1: 1.0})
    mute = [replace(r, throughput_per_s=0.0) if "no_batching" in r.system else r
            for r in found.rows]  # fmt: skip
    empty = replace(found, rows=mute)
    assert empty.claimed_gain is None
    assert "No verdict on batching" in empty.verdict()


def test_a_goal_missed_by_a_hair_does_not_read_as_reached() -> None:
    assert "0.946 (goal: at least 0.95): MISSED" in Goal("a of b", 0.9457, 0.95).line()


def test_goals_differ_by_device() -> None:
    rows = report({"grpc": 2.0}, {1: 1.0}).rows
    cpu = goals(rows, on_gpu=False)
    assert [(goal.value, goal.met) for goal in cpu] == [(22.5, True), (9.0, True)]
    [gpu] = goals(rows, on_gpu=True)
    assert (gpu.value, gpu.wanted, gpu.met) == (22.5, 10.0, True)
    assert "MISSED" in goals([row("pytorch", "p", 1, 8), row("triton_no_batching", "http", 1, 9)],
                             on_gpu=False)[0].line()  # fmt: skip


def test_what_went_wrong_is_said_first_and_raised() -> None:
    found = report({"grpc": 1.0}, {1: 1.0})
    found.check()
    gone = ServerUnavailable("gone")
    partial = replace(found, partial="gone", failure=gone)
    assert partial.verdict().startswith("PARTIAL: gone.")
    with pytest.raises(ServerUnavailable):
        partial.check()
    wrong = replace(found, rows=[replace(found.rows[0], wrong=2, checked=9, why_wrong="y: 0.5")])
    assert "FAILED: 2 wrong answers" in wrong.verdict()
    with pytest.raises(ModelError, match=r"2 wrong of 9 checked; the first: y: 0\.5"):
        wrong.check()
    with pytest.raises(ServerError, match="expected answers, got none"):
        replace(found, rows=[replace(found.rows[0], n=0)]).check()
    unfit = replace(found, rows=[replace(found.rows[0], valid=False, stable=False)])
    assert "1 of 1 rows are not stable. 1 of 1 rows are invalid." in unfit.verdict()


def test_a_search_without_a_confirmed_rate_says_so_instead_of_naming_zero() -> None:
    none = Goodput("triton_no_batching", "http", 50, 0, 0, (Probe(90, 80.0, 9, False),) * 3)
    verdict = replace(report({"http": 1.0}, {1: 1.0}), goodput=(none,)).verdict()
    assert "kept p99 within 50 ms twice at no rate of 3 tries" in verdict
    assert "0.0 requests/s" not in verdict


def test_everything_is_written_in_the_agreed_form(tmp_path: Path) -> None:
    goodput = Goodput("triton_no_batching", "http", 50, 90, 89, (Probe(90, 40.0, 89, True),))
    found = replace(report({"http": 1.0, "grpc": 0.9}, {1: 1.0, 16: 0.9}), goodput=(goodput,))
    paths = write(tmp_path / "reports", found)
    assert [path.name for path in paths[:4]] == [
        "benchmark.json", "benchmark.csv", "benchmark.png", "benchmark.html"
    ]  # fmt: skip
    loaded = json.loads(paths[0].read_text())
    assert loaded["partial"] == ""
    assert loaded["rows"][0]["queue_ms"] is None
    with paths[1].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == FLAT
    assert len(lines) == len(loaded["rows"]) == len(found.rows)
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((tmp_path / "reports" / "metrics" / "benchmark.json").read_text())
    assert metrics["pytorch"]["throughput_per_s"] == 8
    assert metrics["goodput_per_s"] == {"triton_no_batching_http": 90}
    plots = {path.name for path in (tmp_path / "reports" / "plots" / "benchmark").iterdir()}
    assert plots == {"latency_throughput.csv", "percentiles.csv", "batches.csv", "timeline.csv"}


def test_the_page_is_one_file_with_everything_escaped(tmp_path: Path) -> None:
    found = report({"http": 1.0}, {1: 1.0})
    evil = replace(found.rows[0], system="<script>x</script>", failures=[
        {"kind": "<b>", "n": 1, "p50_ms": 1.0, "max_ms": 1.0, "first": "<img src=x>"}])  # fmt: skip
    found = replace(found, model="<i>m</i>", rows=[evil, *found.rows[1:]])
    text = next(p for p in write(tmp_path, found) if p.suffix == ".html").read_text()
    for tag in ("<script", "<i>m", "<b>", "<img src=x"):
        assert tag not in text
    assert "&lt;script&gt;" in text
    assert text.count("data:image/svg+xml") == 6
    assert "http://" not in text
    assert "https://" not in text


def test_a_full_disk_is_one_clear_line_and_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="expected to write there"):
        write(tmp_path / "reports", report({"http": 1.0}, {1: 1.0}))


def test_the_table_puts_the_papers_figure_beside_ours() -> None:
    table = report({"grpc": 1.0}, {1: 1.0}).table()
    ours = "8.0 [7.8, 8.2] (c=1, in_process) | 1.0 | 5.0 |  |"
    assert f"| PyTorch, one by one | {ours} 31.3 | 1.0 |" in table
    assert "| 247.1 | 7.9 |" in table


def test_the_environment_says_what_it_ran_on() -> None:
    found = describe()
    assert {"cpu", "cores", "memory_gib", "gpu", "os", "python", "packages", "command"} == set(
        found
    )
    assert found["cores"] >= 1
