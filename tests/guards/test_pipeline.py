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


@pytest.mark.parametrize("params", ["params.yaml", "params.real.yaml"])
def test_no_stage_and_no_cleaning_reaches_what_people_decided(params: str) -> None:
    values = yaml.safe_load((ROOT / params).read_text("utf-8"))
    sacred = [values["paths"]["labeling"], values["labeling"]["publish"]]
    swept = [*_outs(values["paths"]), *_cleaned()]
    assert len(swept) > 20
    for place in sacred:
        above = [str(path) for path in (Path(place), *Path(place).parents)]
        assert not [path for path in swept if path in above], f"{place} would be removed"


def test_no_stage_of_the_pipeline_reaches_the_label_store() -> None:
    for name, stage in STAGES.items():
        assert not {"vigil.labels.store", "vigil.labels.users"} & reached(module_of(stage)), name


def _outs(paths: dict[str, str]) -> list[str]:
    """Every place that a stage makes or removes, as written in dvc.yaml."""
    found = []
    for stage in STAGES.values():
        for out in [*stage["outs"], *stage.get("metrics", []), *stage.get("plots", [])]:
            text = out if isinstance(out, str) else next(iter(out))
            for key, value in paths.items():
                text = text.replace(f"${{paths.{key}}}", value)
            found.append(text)
    return found


def _cleaned() -> list[str]:
    text = (ROOT / "Makefile").read_text("utf-8").partition("\nclean:")[2].replace("\\\n", " ")
    return re.sub(r"\s+", " ", text.partition("@rm -rf ")[2].partition("\n")[0]).split()


def test_no_machine_path_in_tracked_text() -> None:
    own = Path(__file__)
    words = ("/" + "work/", "/" + "root/", "far" + "m-")
    for folder in ("vigil", "stages", "labeling_ui", "tests", "requirements", "triton_repo"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".yaml", ".txt", ".pbtxt", ".sh"} and path != own:
                text = path.read_text("utf-8")
                assert not [word for word in words if word in text], path
