"""Two reports: faster, slower, within noise, or not to be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.test_report import BASE
from vigil.benchmark.compare import compare, machine_differs, read_report, summary
from vigil.errors import InputError


def report(**changes: Any) -> dict[str, Any]:
    row = BASE.as_dict() | {
        "throughput_per_s": 100.0, "throughput_low": 98.0, "throughput_high": 102.0,
        "p50_ms": 10.0, "p50_low": 9.9, "p50_high": 10.1, "p99_ms": 20.0, "p99_low": 18.0,
        "p99_high": 22.0,
    } | changes  # fmt: skip
    return {"rows": [row], "environment": {"cpu": "A", "cores": 2}}


def verdicts(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [change.verdict for change in compare(before, after)]


def test_the_same_is_within_noise() -> None:
    assert verdicts(report(), report()) == ["within noise"] * 3


def test_more_throughput_and_less_latency_are_faster_and_the_other_way_slower() -> None:
    better = report(throughput_per_s=120.0, throughput_low=117.0, throughput_high=123.0,
                    p50_ms=8.0, p50_low=7.9, p50_high=8.1, p99_ms=12.0, p99_low=11.0,
                    p99_high=13.0)  # fmt: skip
    assert verdicts(report(), better) == ["faster"] * 3
    assert verdicts(better, report()) == ["slower"] * 3
    assert summary(compare(better, report())).startswith("0 faster, 3 slower")


def test_overlapping_intervals_or_a_small_change_are_noise() -> None:
    near = report(p50_ms=10.3, p50_low=10.25, p50_high=10.35, p99_ms=24.0, p99_low=21.0,
                  p99_high=27.0)  # fmt: skip
    assert verdicts(report(), near) == ["within noise"] * 3
    assert [c.verdict for c in compare(report(), near, threshold=0.01)][1] == "slower"


@pytest.mark.parametrize(
    "changes", [{"stable": False}, {"valid": False, "why_invalid": "late"}, {"n": 0}, {"wrong": 1}]
)
def test_what_is_not_to_be_relied_on_is_not_compared(changes: dict[str, Any]) -> None:
    assert verdicts(report(), report(**changes)) == ["not comparable"] * 3


def test_rows_of_other_loads_are_not_held_together() -> None:
    with pytest.raises(InputError, match="got none"):
        compare(report(), report(concurrency=9))
    with pytest.raises(InputError, match="got none"):
        compare(report(offered_per_s=10.0), report(offered_per_s=20.0))


def test_another_machine_is_named() -> None:
    other = report() | {"environment": {"cpu": "B", "cores": 2}}
    assert machine_differs(report(), other) == ["cpu: A -> B"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 3}', '{"rows": [{}]}', "nonsense"])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="expected a benchmark's JSON"):
        read_report(path)
    path.write_text(json.dumps(report()))
    assert read_report(path)["rows"]
