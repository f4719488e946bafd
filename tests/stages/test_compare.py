"""The command's exit code tells worse from not worse and from what cannot be compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.scores import CLASSES, scores
from tests.skeletons import config
from vigil.evaluation import Scores
from vigil.evaluation.scores import write_scores


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A project with the reports of a weak, a strong and a shorter run."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(config().model_dump(mode="json")))
    runs: dict[str, Scores] = {
        "weak": scores(120, skill=0.5, noise=1),
        "strong": scores(120, skill=4.0, noise=2),
        "short": scores(60, skill=4.0, noise=2),
        "weak_again": scores(120, skill=0.4, noise=3),
    }
    for name, run in runs.items():
        write_scores(tmp_path / "reports" / name / "scores.csv", run, CLASSES)
    return path


def compare(params: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.compare", "--params", str(params), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_better_run_ends_with_0_and_a_table(params: Path) -> None:
    ran = compare(params, "weak", str(params.parent / "reports" / "strong"))
    assert ran.returncode == 0, ran.stderr
    assert "120 clips of 40 videos" in ran.stdout
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("  auc ")]
    assert line.endswith("better")
    assert "McNemar" in ran.stdout


def test_a_worse_run_ends_with_1_and_says_in_what(params: Path) -> None:
    ran = compare(params, "strong", "weak")
    assert ran.returncode == 1
    assert ran.stderr == "compare: weak: worse beyond noise in accuracy, macro_f1, auc\n"
    assert compare(params, "strong", "weak", "--on", "auc").stderr.endswith("in auc\n")


@pytest.mark.parametrize(
    ("second", "message"),
    [("short", "60 that only one run holds"), ("none", "expected a model or a folder")],
)
def test_what_cannot_be_compared_ends_with_2(params: Path, second: str, message: str) -> None:
    ran = compare(params, "strong", second)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_trainings_of_a_recipe_are_judged_together(params: Path) -> None:
    ran = compare(params, "weak,weak_again", "strong")
    assert ran.returncode == 0, ran.stderr
    assert "trainings: 2 of the first recipe, 1 of the second: intervals do not hold" in ran.stdout
    assert "McNemar" not in ran.stdout
    ran = compare(params, "weak,weak_again", "strong,weak")
    assert "values are means, intervals are over videos and trainings" in ran.stdout
    ran = compare(params, f"weak,{params.parent}/reports/weak", "strong")
    assert ran.returncode == 2
    assert ran.stderr == "compare: expected each training of a recipe once, got one twice\n"
