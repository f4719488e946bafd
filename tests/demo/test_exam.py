"""The exam: the report's figures are those of the windows, told by what happens in a scene."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from vigil.config import load
from vigil.dataset import read_annotations
from vigil.demo.exam import by_behavior, check_reads_skeletons, examine
from vigil.demo.images import scene_seeds
from vigil.demo.simulated import simulate
from vigil.demo.world.scenes import make_scene
from vigil.errors import InputError
from vigil.evaluation import predict
from vigil.models import store
from vigil.weights import entry, fetch


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's ProtoGCN as it ships, as a trained model's folder."""
    config, _ = load(ROOT / "params.yaml")
    spec = store.ModelSpec.of("protogcn", config.classes, config.models, config.dataset)
    network = store.build(spec)
    store.begin(network, fetch(entry("demo", "protogcn"), ROOT), spec.classes)
    folder = tmp_path_factory.mktemp("protogcn")
    store.save(folder, network.state_dict(), spec)
    return folder


def test_the_report_counts_what_the_recognizer_says_by_behavior(
    shipped: Path, tmp_path: Path
) -> None:
    config, _ = load(ROOT / "params.yaml")
    annotations = tmp_path / "scenes.pkl"
    simulate(annotations, 20, config, seed=62, workers=1)
    told = examine("protogcn", shipped, annotations, tmp_path / "out", config)
    _, rows = read_annotations(annotations)
    right = predict(shipped, rows).argmax(1) == [row["label"] for row in rows]
    assert told["n"] == len(rows) > 20
    assert told["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right))
    behaviors = Counter(make_scene(int(row["video_id"][4:]), fps=12).behavior for row in rows)
    assert {name: group["n"] for name, group in told["per_group"].items()} == behaviors
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["metrics"] == told["metrics"]
    assert "kick" in behaviors or "punch" in behaviors or "push" in behaviors
    page = (tmp_path / "out" / "index.html").read_text()
    assert all(name in page for name in behaviors)


def test_every_window_keeps_its_label_and_its_scene() -> None:
    (seed,) = scene_seeds("test", 0, 1)
    row = {"frame_dir": "a", "video_id": f"sim_{seed:09d}", "label": 1, "group": "room"}
    (told,) = by_behavior([row])
    assert told == row | {"group": make_scene(seed, fps=12).behavior}


@pytest.mark.slow
def test_the_command_draws_looks_and_judges(shipped: Path, tmp_path: Path) -> None:
    for name in ("params.yaml", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "models").mkdir()
    shutil.copytree(shipped, tmp_path / "models" / "protogcn")
    command = [sys.executable, "-m", "vigil.demo.exam", "--scenes", "2", "--seed", "1"]
    done = subprocess.run(
        [*command, "--params", str(tmp_path / "params.yaml")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "drawn scenes of their own seeds" in done.stdout
    report = json.loads((tmp_path / "reports/exam/protogcn/report.json").read_text())
    names = {f"sim_{seed:09d}" for seed in scene_seeds("test", 1, 2)}
    scores = (tmp_path / "reports/exam/protogcn/scores.csv").read_text()
    assert report["n_videos"] == 2
    assert all(name in scores for name in names)


def test_a_recognizer_of_something_else_is_refused_before_it_draws(
    shipped: Path, tmp_path: Path
) -> None:
    check_reads_skeletons("protogcn", shipped)
    config, _ = load(ROOT / "params.yaml")
    spec = store.ModelSpec.of("clip_gru", config.classes, config.models, config.dataset)
    store.save(tmp_path, store.build(spec).state_dict(), spec)
    with pytest.raises(InputError, match="expected a recognizer of skeletons"):
        check_reads_skeletons("clip_gru", tmp_path)


def test_without_a_trained_recognizer_it_says_so_before_it_draws(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    command = [sys.executable, "-m", "vigil.demo.exam", "--scenes", "2000"]
    done = subprocess.run(
        [*command, "--params", str(tmp_path / "params.yaml")],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "models/protogcn" in line
