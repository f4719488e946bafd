"""Skeletons of rendered scenes: where the people are, labeled, and found only once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from vigil.config import load
from vigil.dataset import read_annotations
from vigil.demo.images import scene_seeds
from vigil.demo.rendered import render
from vigil.demo.simulated import scene_id
from vigil.demo.world.scenes import make_scene
from vigil.schema import Skeletons

pytestmark = pytest.mark.slow


def test_the_demos_networks_find_the_people_of_a_rendered_scene(tmp_path: Path) -> None:
    config, _ = load(ROOT / "params.yaml")
    path = tmp_path / "rendered.pkl"
    count = render(path, 1, config, seed=60, workers=1)
    (seed,) = scene_seeds("train", 60, 1)
    scene = make_scene(seed, fps=12)
    found = Skeletons.read(tmp_path / "rendered" / f"{scene_id(seed)}.parquet")
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

    kept = tmp_path / "rendered" / f"{scene_id(seed)}.parquet"
    before = kept.stat().st_mtime_ns
    path.unlink()
    assert render(path, 1, config, seed=60, workers=1) == count
    assert kept.stat().st_mtime_ns == before, "what is found is not looked for again"
