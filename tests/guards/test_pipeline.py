"""`dvc.yaml` tells the truth: each stage names the code it runs and the parameters it reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.guards.modules import ROOT, reached, sources

PIPELINE: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))
STAGES: dict[str, Any] = {name: s.get("do", s) for name, s in PIPELINE["stages"].items()}


def module_of(stage: dict[str, Any]) -> str:
    found = re.match(r"python -m (stages\.\w+)", stage["cmd"])
    assert found, f"expected `python -m stages.<verb>`, got {stage['cmd']!r}"
    return found.group(1)


@pytest.mark.parametrize("name", sorted(STAGES))
def test_deps_name_every_module_the_stage_reaches(name: str) -> None:
    stage = STAGES[name]
    deps = [ROOT / dep for dep in stage["deps"] if "${" not in dep]
    files = {sources()[module] for module in reached(module_of(stage))}
    empty = {path for path in files if path.name == "__init__.py" and len(path.read_text()) < 200}
    covered = {path for path in files if any(path == dep or dep in path.parents for dep in deps)}
    missing = sorted(str(path.relative_to(ROOT)) for path in files - covered - empty)
    assert not missing, f"dvc.yaml: {name}: add to deps: {missing}"


@pytest.mark.parametrize("name", sorted(STAGES))
def test_deps_name_no_file_that_is_gone(name: str) -> None:
    for dep in STAGES[name]["deps"]:
        if "${" not in dep:
            assert (ROOT / dep).exists(), f"dvc.yaml: {name}: {dep} does not exist"


def test_stage_module_and_parameters_share_their_name() -> None:
    for name, stage in STAGES.items():
        assert module_of(stage) == f"stages.{name}"
        assert (ROOT / "stages" / f"{name}.py").exists()


def test_commands_stay_short() -> None:
    for path in sorted((ROOT / "stages").glob("*.py")):
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= 80, f"{path.name}: {lines} lines; the work belongs in vigil/"


def test_labels_are_never_an_output_of_what_people_bring() -> None:
    outs = [str(out) for stage in STAGES.values() for out in stage.get("outs", [])]
    assert not [out for out in outs if "paths.labels" in out or "paths.videos" in out]


def test_no_machine_path_in_tracked_text() -> None:
    own = Path(__file__)
    words = ("/" + "work/", "/" + "root/", "far" + "m-")
    for folder in ("vigil", "stages", "labeling_ui", "tests", "requirements", "triton_repo"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".yaml", ".txt", ".pbtxt", ".sh"} and path != own:
                text = path.read_text("utf-8")
                assert not [word for word in words if word in text], path
