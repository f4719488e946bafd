"""Windows of synthetic scenes: those that are clear, of the classes asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.skeletons import config
from vigil.demo.disturbances import Disturbance
from vigil.demo.simulated import scene_id, skeletons
from vigil.demo.windows import labeled_windows, skeleton_windows
from vigil.demo.world.behaviors import FAINT
from vigil.demo.world.scenes import Scene, make_scene

CLASSES = ("normal", "assault", "faint")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(100_000_011, behavior=FAINT[0], duration_s=12.0)


def test_a_window_is_named_after_what_it_shows_and_left_out_where_that_is_unclear(
    scene: Scene,
) -> None:
    (event,) = [event for event in scene.events if event.label != "normal"]
    found = labeled_windows(scene, "v", config().clips, "normal")
    assert found
    for clip, label in found:
        shown = min(clip.end_s, event.end_s) - max(clip.start_s, event.start_s)
        assert (label, shown > 0) in {("normal", False), ("faint", True)}
        assert shown <= 0 or shown >= min(1.0, event.end_s - event.start_s) - 1e-9


def test_windows_of_a_class_not_asked_for_are_left_out(scene: Scene) -> None:
    found = skeletons(scene, scene_id(scene.seed), Disturbance(), 0)
    every = skeleton_windows(scene, found, config().clips, CLASSES, "normal")
    some = skeleton_windows(scene, found, config().clips, CLASSES[:2], "normal")
    assert {row["label"] for row in every} >= {2}
    assert [row["frame_dir"] for row in some] == [
        row["frame_dir"] for row in every if row["label"] != 2
    ]


def test_a_scene_in_which_nobody_was_found_has_no_windows(scene: Scene) -> None:
    found = skeletons(scene, "v", Disturbance(), 0)
    none = {name: getattr(found, name)[:0]
            for name in ("frame", "time_s", "track_id", "keypoints", "scores")}  # fmt: skip
    assert skeleton_windows(scene, replace(found, **none), config().clips, CLASSES, "normal") == []
