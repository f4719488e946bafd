"""Simulated skeletons: the rendered truth when undisturbed; honest labels and splits."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from tests.skeletons import config
from vigil.config import Config
from vigil.dataset import read_annotations
from vigil.demo.disturbances import Disturbance
from vigil.demo.learned_errors import learn
from vigil.demo.sightings import sightings
from vigil.demo.simulated import rows, simulate, skeletons
from vigil.demo.world.scenes import make_scene

NOTHING = Disturbance(**dict.fromkeys((field.name for field in fields(Disturbance)), 0.0))


def demo_config() -> Config:
    return config().model_copy(update={"classes": ("normal", "assault", "faint")})


def test_undisturbed_joints_are_those_of_the_rendered_scene() -> None:
    scene = make_scene(100_000_007, fps=12, duration_s=2)
    found = skeletons(scene, "v", NOTHING, 0)
    for index in (0, 11, 23):
        truth = scene.truth(index)
        for track_id, joints, visible in zip(
            truth.track_ids, truth.keypoints, truth.visibility, strict=True
        ):
            row = (found.frame == index) & (found.track_id == track_id)
            assert row.sum() == 1
            inside = visible > 0
            gap = np.abs(found.xy[row][0][inside] - joints[inside]).max(-1)
            assert np.median(gap) < 0.01  # arms that reach for something may differ a little:
            assert gap.max() < 3.0  # their bending is solved for the whole clip at once


def test_a_seed_gives_the_same_skeletons_and_another_seed_others() -> None:
    scene = make_scene(100_000_003, fps=12, duration_s=3)
    first, again, other = (skeletons(scene, "v", Disturbance(), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.keypoints, again.keypoints)
    assert first.keypoints.shape != other.keypoints.shape or not np.array_equal(
        first.keypoints, other.keypoints, equal_nan=True
    )


def test_windows_are_labeled_by_what_they_show() -> None:
    settings = demo_config()
    arguments = (settings.clips, settings.classes, settings.normal_class, Disturbance())
    labels = {row["label"] for seed in range(12) for row in rows(100_000_000 + seed, *arguments)}
    assert labels == {0, 1, 2}


def test_joints_are_averaged_as_the_stage_averages_them() -> None:
    settings = demo_config()
    arguments = (settings.clips, settings.classes, settings.normal_class, Disturbance())
    trembling = [
        np.mean([np.abs(np.diff(row["keypoint"], 2, axis=1)).mean() for row in found])
        for found in (rows(100_000_003, *arguments), rows(100_000_003, *arguments, smooth_s=0.08))
    ]
    assert trembling[1] < 0.8 * trembling[0]


def test_learned_errors_are_of_averaged_joints_and_are_not_averaged_again() -> None:
    settings = demo_config()
    scenes = [make_scene(100_000_000 + seed, fps=12, duration_s=4) for seed in (3, 4)]
    found = [sightings(scene, skeletons(scene, "v", Disturbance(), 0)) for scene in scenes]
    how = learn(found, passes=1)[0]
    arguments = (settings.clips, settings.classes, settings.normal_class, how)
    once, never = (rows(100_000_003, *arguments, smooth_s=s) for s in (0.08, 0.0))
    usual = rows(100_000_003, *arguments[:3], Disturbance())
    assert [row["label"] for row in once] == [row["label"] for row in usual]
    for first, second, other in zip(once, never, usual, strict=True):
        np.testing.assert_array_equal(first["keypoint"], second["keypoint"])
        assert not np.array_equal(first["keypoint"], other["keypoint"])


def test_no_scene_is_in_two_splits(tmp_path: Path) -> None:
    path = tmp_path / "simulated.pkl"
    count = simulate(path, 20, demo_config(), workers=1)
    splits, every = read_annotations(path)
    assert count == len(every) > 20
    video = {row["frame_dir"]: row["video_id"] for row in every}
    training, held_out = ({video[clip] for clip in splits[name]} for name in ("train", "val"))
    assert len(held_out) == 1
    assert not training & held_out
