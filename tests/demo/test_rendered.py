"""Skeletons of rendered scenes: where the people are, labeled, and found only once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from vigil.config import load
from vigil.dataset import read_annotations
from vigil.demo.images import scene_seeds
from vigil.demo.rendered import key, render
from vigil.demo.simulated import scene_id
from vigil.demo.world.scenes import make_scene
from vigil.schema import Skeletons
from vigil.weights import SHIPPED


def test_other_weights_and_other_thresholds_are_another_key(tmp_path: Path) -> None:
    config, _ = load(ROOT / "params.yaml")
    usual = key(config, SHIPPED)
    lower = config.skeletons.model_copy(update={"score_threshold": 0.05})
    assert key(config.model_copy(update={"skeletons": lower}), SHIPPED) != usual
    for name in ("yolo11n.safetensors", "rtmo.safetensors"):
        shutil.copyfile(SHIPPED / name, tmp_path / name)
    assert key(config, tmp_path) == usual
    with (tmp_path / "yolo11n.safetensors").open("ab") as weights:
        weights.write(b"0")
    assert key(config, tmp_path) != usual


def test_absent_weights_are_named_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vigil.demo.rendered", "--scenes", "1"]
    places = ["--out", str(tmp_path / "r.pkl"), "--weights", str(tmp_path / "none")]
    done = subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    (line,) = done.stderr.strip().splitlines()
    assert "none/yolo11n.safetensors: expected a readable file" in line


@pytest.mark.slow
def test_the_demos_networks_find_the_people_of_a_rendered_scene(tmp_path: Path) -> None:
    config, _ = load(ROOT / "params.yaml")
    path = tmp_path / "rendered.pkl"
    count = render(path, 1, config, print, seed=60, workers=1)
    (seed,) = scene_seeds("train", 60, 1)
    scene = make_scene(seed, fps=12)
    (kept,) = (tmp_path / "rendered").glob(f"*/{scene_id(seed)}.parquet")
    found = Skeletons.read(kept)
    gaps = []
    for index in range(0, scene.n_frames, 12):
        truth = scene.truth(index)
        seen = [joints for joints, visible in zip(truth.keypoints, truth.visibility, strict=True)
                if (visible > 0).mean() > 0.5]  # fmt: skip
        for xy in found.xy[found.frame == index]:
            gaps.append(min((np.nanmedian(np.hypot(*(xy - joints).T)) for joints in seen),
                            default=np.inf))  # fmt: skip
    assert len(gaps) > scene.n_frames / 24
    assert np.median(gaps) < 8, "half of the people's joints lie within pixels of the true ones"
    splits, rows = read_annotations(path)
    assert count == len(rows) == len(splits["train"]) > 0
    assert {row["video_id"] for row in rows} == {scene_id(seed)}

    before = kept.stat().st_mtime_ns
    path.unlink()
    assert render(path, 1, config, print, seed=60, workers=1) == count
    assert kept.stat().st_mtime_ns == before, "what is found is not looked for again"
