"""dataset, train, evaluate and export, one after the other, on skeletons made by hand."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages import dataset, evaluate, export, train
from tests.skeletons import CLASSES, config, person, skeletons
from vigil.config import load
from vigil.schema import Clip, Label, Timeline, write_clips, write_groups, write_labels
from vigil.serving.repository import check_model

MODEL = Namespace(model="protogcn")


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 18 videos of two clips each; the second clip of one is unlabeled."""
    root = tmp_path_factory.mktemp("project")
    values = config(epochs=2).model_dump(mode="json")
    values["dataset"]["folds"] = 3
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    _, paths = load(root / "params.yaml")
    clips, labels = [], []
    for index in range(18):
        video, label, rng = f"v {index}=영상", index % 2, np.random.default_rng(index)
        speed = 1.2 if label else 0.1
        tracks = {i + 1: person(48, speed, rng, (150.0 + 120 * i, 200.0)) for i in range(2)}
        skeletons(video, tracks).write(paths.skeletons / f"{video}.parquet")
        Timeline(video, 640, 360, np.arange(48) / 12).write(paths.timelines / f"{video}.parquet")
        for half in range(2):
            name = f"{video}@{half * 2000}-{half * 2000 + 2000}"
            clips.append(
                Clip(name, video, half * 2.0, half * 2.0 + 2, half * 24, half * 24 + 24, 2)
            )
            labels.append(Label(name, CLASSES[label], "ann", ""))
    write_clips(paths.clips, clips)
    write_labels(paths.labels, labels[:-1])
    write_groups(paths.groups, {f"v {i}=영상": f"hall{i // 2}" for i in range(18)})
    return root / "params.yaml"


@pytest.mark.slow
def test_from_labels_to_a_published_model(
    parameters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, paths = load(parameters)
    dataset.main(cfg, paths, Namespace())
    assert (
        "35 labeled clips (0 without any person); left out: 1 unlabeled" in capsys.readouterr().out
    )
    train.main(cfg, paths, MODEL)
    assert (paths.reports / "training/protogcn/train/loss.tsv").is_file()
    evaluate.main(cfg, paths, MODEL)
    assert "accuracy: protogcn" in capsys.readouterr().out
    report = json.loads((paths.reports / "protogcn.json").read_text())
    folds = json.loads((paths.reports / "protogcn/folds.json").read_text())
    assert folds["n"] == 35 > report["n"] > 0
    assert set(report["baselines"]) == {"majority", "motion"}
    assert set(report["splits"]) == {"train", "val"}
    assert len(report["per_group"]) > 1
    for folder in ("protogcn", "protogcn/folds"):
        found = {path.name for path in (paths.reports / folder).iterdir() if path.is_file()}
        assert {"index.html", "mistakes.png", "scores.csv", "roc.png", "calibration.png"} <= found
    assert (paths.reports / "plots/protogcn/precision_recall.csv").is_file()
    brief = json.loads((paths.reports / "metrics/protogcn.json").read_text())
    assert brief["accuracy"] == report["metrics"]["accuracy"]["value"]
    assert brief["train_auc"] == report["splits"]["train"]["metrics"]["auc"]["value"]
    export.main(cfg, paths, MODEL)
    parity = json.loads((paths.reports / "protogcn_export.json").read_text())
    assert max(parity["max_difference"].values()) <= parity["tolerance"]
    check_model(paths.triton_repo / "protogcn")
