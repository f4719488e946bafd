"""Streams are trained, evaluated and joined by the stages, and their runs compared."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import yaml

from stages import compare, ensemble, evaluate, export, train
from tests.conftest import ROOT
from tests.skeletons import config, write_set
from vigil.config import load
from vigil.errors import InputError
from vigil.evaluation.scores import read_scores
from vigil.serving.repository import check_model

STREAMS = ("j", "b", "k", "jm", "bm", "km")
PAPER = {
    "protogcn_2s": {"j": 1, "b": 1},
    "protogcn_4s": {"j": 2, "b": 2, "jm": 1, "bm": 1},
    "protogcn_6s": {"j": 2, "b": 2, "k": 2, "jm": 1, "bm": 1, "km": 1},
}


def parameters(**changes: Any) -> dict[str, Any]:
    """Return parameters of six streams of one type and the paper's ensembles of them."""
    values = config(epochs=1).model_dump(mode="json")
    base = values["models"]["protogcn"]
    values["models"] = {f"protogcn_{s}": {**base, "stream": s} for s in STREAMS}
    values["recognizers"] = list(values["models"])
    values["ensembles"] = {
        name: {"members": {f"protogcn_{s}": weight for s, weight in weights.items()}}
        for name, weights in PAPER.items()
    }
    return values | changes


def pipeline(folder: Path, values: dict[str, Any], *command: str) -> list[str]:
    """Run a DVC command on this pipeline with `values` as its parameters; return its lines."""
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    (folder / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    dvc = [sys.executable, "-m", "dvc"]
    if not (folder / ".dvc").exists():
        subprocess.run([*dvc, "init", "-q", "--no-scm"], cwd=folder, check=True)
    ran = subprocess.run([*dvc, *command], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


def test_the_pipeline_has_one_stage_per_ensemble_and_none_without(tmp_path: Path) -> None:
    found = pipeline(tmp_path, parameters(), "stage", "list", "--name-only")
    assert [name for name in found if name.startswith("ensemble")] == [
        f"ensemble@{name}" for name in PAPER
    ]
    assert {f"evaluate@protogcn_{s}" for s in STREAMS} < set(found)
    found = pipeline(tmp_path, parameters(ensembles={}), "stage", "list", "--name-only")
    assert not [name for name in found if name.startswith(("ensemble", "fuse", "crops"))]


def test_the_pipeline_has_one_stage_per_fusion_and_per_model_behind_clip(tmp_path: Path) -> None:
    values = parameters(ensembles={}, recognizers=["protogcn_j", "clip_gru"])
    values["models"]["clip_gru"] = config().model_dump(mode="json")["models"]["clip_gru"]
    values["fusions"] = {"fused": {"members": values["recognizers"], "penalty": 0.1}}
    values["export"]["crops"] = ["clip_gru"]
    found = pipeline(tmp_path, values, "stage", "list", "--name-only")
    assert {"fuse@fused", "crops@clip_gru", "train@clip_gru"} < set(found)


def test_every_recognizer_and_ensemble_declares_its_plots() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    for stage, name in (
        (stages["evaluate"], "${item.model}"),
        (stages["ensemble"]["do"], "${key}"),
    ):
        found = [next(iter(plot)) for plot in stage["plots"]]
        assert found == [
            f"${{paths.reports}}/plots/{name}/{kind}.csv"
            for kind in ("roc", "precision_recall", "calibration", "confusion")
        ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose six streams are trained and evaluated; returns its parameter file."""
    path = tmp_path_factory.mktemp("project") / "params.yaml"
    path.write_text(yaml.safe_dump(parameters()))
    cfg, paths = load(path)
    write_set(paths.dataset / "annotations.pkl", 48)
    for name in cfg.recognizers:
        train.main(cfg, paths, Namespace(model=name))
        evaluate.main(cfg, paths, Namespace(model=name))
    return path


@pytest.mark.slow
def test_ensembles_of_two_four_and_six_streams_are_measured_and_published(project: Path) -> None:
    cfg, paths = load(project)
    for name, weights in PAPER.items():
        ensemble.main(cfg, paths, Namespace(name=name))
        summary = json.loads((paths.reports / f"{name}.json").read_text())
        assert summary["model"] == name
        assert set(summary["splits"]) == {"train", "val"}
        parts = [read_scores(paths.reports / f"protogcn_{s}" / "scores.csv")[0] for s in weights]
        joined, _ = read_scores(paths.reports / name / "scores.csv")
        mean = sum(
            weight * part.probabilities
            for weight, part in zip(weights.values(), parts, strict=True)
        ) / sum(weights.values())
        assert joined.probabilities == pytest.approx(mean, abs=1e-5)
        assert (paths.reports / name / "index.html").is_file()
        assert (paths.reports / "plots" / name / "roc.csv").is_file()
        parity = json.loads((paths.reports / f"{name}_export.json").read_text())
        assert max(parity["max_difference"].values()) <= parity["tolerance"]
        check_model(paths.triton_repo / name)


@pytest.mark.slow
def test_streams_of_one_type_are_published_side_by_side(project: Path) -> None:
    cfg, paths = load(project)
    for name in ("protogcn_j", "protogcn_km"):
        export.main(cfg, paths, Namespace(model=name))
        check_model(paths.triton_repo / name)


def test_an_unknown_ensemble_is_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters()))
    cfg, paths = load(tmp_path / "params.yaml")
    with pytest.raises(InputError, match=r"expected one of \['protogcn_2s', .*\], got nobody"):
        ensemble.main(cfg, paths, Namespace(name="nobody"))


def test_a_report_folder_is_found_by_path_or_by_model(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters()))
    _, paths = load(tmp_path / "params.yaml")
    folder = paths.reports / "protogcn_j"
    folder.mkdir(parents=True)
    (folder / "scores.csv").touch()
    assert compare.find(paths, "protogcn_j") == compare.find(paths, str(folder)) == folder
    with pytest.raises(InputError, match="nobody: expected a model or a folder"):
        compare.find(paths, "nobody")
