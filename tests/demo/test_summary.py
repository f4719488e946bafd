"""The demo's last words: every figure with its n, its interval and the baselines beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vigil.config import load
from vigil.demo.summary import summarize
from vigil.errors import InputError
from vigil.schema import write_json, write_text
from vigil.serving.client import Prediction
from vigil.serving.trial import Answers

ANSWERS = Answers(
    ["a@0-4000", "b@0-4000"],
    ["assault", "normal"],
    [Prediction("assault", {"assault": 0.9}), Prediction("faint", {"faint": 0.8})],
    0.0,
)


def metric(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def row(system: str, concurrency: int, speed: float, errors: int = 0) -> dict[str, Any]:
    return {
        "system": system, "protocol": "grpc", "concurrency": concurrency,
        "throughput_per_s": speed, "p99_ms": 7.0, "errors": errors,
    }  # fmt: skip


@pytest.fixture
def lines(params: dict[str, Any], project: Callable[[dict[str, Any]], Path]) -> list[str]:
    config, paths = load(project(params))
    quality = {
        "n": 72, "classes": ["normal", "assault"], "metrics": {"accuracy": metric(0.5)},
        "baselines": {"majority": {"accuracy": metric(0.6)}}, "confusion_matrix": [[3, 1], [2, 4]],
    }  # fmt: skip
    speed = {
        "environment": {"cpu": "Test", "cores": 2, "gpu": "none"},
        "rows": [row("pytorch", 1, 5), row("pytorch", 4, 9), row("pytorch", 64, 99, errors=1)],
    }
    write_json(paths.reports / "protogcn.json", quality)
    write_json(paths.reports / "benchmark.json", speed)
    write_text(paths.frame_report / "index.html", "<p>")
    shown = [paths.reports / "demo" / "assault.mp4"]
    return summarize(config, paths, "protogcn", ANSWERS, shown).splitlines()


def found(lines: list[str], word: str) -> str:
    return next(line for line in lines if word in line)


def test_a_figure_carries_its_interval_its_n_and_its_baselines(lines: list[str]) -> None:
    line = found(lines, "accuracy")
    assert "0.500  [0.400, 0.600] 95 %, n = 72, majority 0.600" in line


def test_the_served_answers_are_counted(lines: list[str]) -> None:
    assert "1 of 2 right" in found(lines, "served")


def test_a_system_shows_its_fastest_row_without_errors(lines: list[str]) -> None:
    assert "9.0 inferences/s" in found(lines, "pytorch")


def test_it_names_where_to_look(lines: list[str]) -> None:
    assert "reports/demo/assault.mp4" in found(lines, "annotated")
    assert "reports/frames/index.html" in found(lines, "frames ")


def test_a_missing_report_is_one_clear_line(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path]
) -> None:
    config, paths = load(project(params))
    with pytest.raises(InputError, match="expected a report"):
        summarize(config, paths, "protogcn", ANSWERS, [])
