"""What was found belongs to whom it lies on, and is told in units of the person."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from vigil.demo.disturbances import Disturbance
from vigil.demo.sightings import circumstances, sightings, whose
from vigil.demo.simulated import skeletons
from vigil.demo.world.scenes import Scene, make_scene
from vigil.schema import JOINTS, Skeletons

NOTHING = Disturbance(**dict.fromkeys((field.name for field in fields(Disturbance)), 0.0))


def scene_with_two() -> Scene:
    """Return a short scene in which two people or more can be found."""
    for seed in range(100_000_000, 100_000_040):
        scene = make_scene(seed, fps=12, duration_s=2)
        if (circumstances(scene).there.mean(1) > 0.9).sum() >= 2:
            return scene
    raise AssertionError("expected a scene with two people in the picture")


def moved(found: Skeletons, by: NDArray[np.float64]) -> Skeletons:
    """Return skeletons whose (N, 17, 2) joints were moved by pixels."""
    return replace(found, keypoints=(found.xy + by).astype(np.float32).reshape(-1, 2 * JOINTS))


def test_what_is_found_without_error_has_none() -> None:
    scene = scene_with_two()
    pairs = sightings(scene, skeletons(scene, "v", NOTHING, 0))
    np.testing.assert_array_equal(pairs.found, pairs.there)
    inside = circumstances(scene).seen & pairs.found[..., None]
    assert np.abs(pairs.error[inside]).max() < 1e-4
    assert (pairs.score[inside] > 0).all()


def test_an_error_is_told_in_body_extents() -> None:
    scene = scene_with_two()
    found, truth = skeletons(scene, "v", NOTHING, 0), circumstances(scene)
    by = np.zeros((len(found.frame), JOINTS, 2))
    by[:, 9] = [12.0, -5.0]
    pairs = sightings(scene, moved(found, by))
    known = pairs.found & truth.seen[..., 9]
    expected = np.array([12.0, -5.0]) / truth.extent[known][:, None]
    np.testing.assert_allclose(pairs.error[known][:, 9], expected, atol=1e-4)
    assert np.abs(pairs.error[pairs.found & truth.seen[..., 5]][:, 5]).max() < 1e-4


def test_people_are_told_by_where_they_are_not_by_their_track() -> None:
    scene = scene_with_two()
    found = skeletons(scene, "v", NOTHING, 0)
    renamed = replace(found, track_id=np.full_like(found.track_id, 3))
    truth = circumstances(scene)
    np.testing.assert_array_equal(whose(renamed, truth), found.track_id - 1)


def test_a_skeleton_on_nobody_is_nobodys() -> None:
    scene = scene_with_two()
    found, truth = skeletons(scene, "v", NOTHING, 0), circumstances(scene)
    away = np.full((len(found.frame), JOINTS, 2), 40.0 * truth.extent.max())
    assert (whose(moved(found, away), truth) == -1).all()
    assert not sightings(scene, moved(found, away)).found.any()


def test_nobody_is_found_who_is_hardly_in_the_picture() -> None:
    for seed in range(100_000_000, 100_000_040):
        scene = make_scene(seed, fps=12, duration_s=2)
        truth = circumstances(scene)
        if not truth.there.all() and np.isfinite(truth.uv).all():
            break
    person, frame = np.argwhere(~truth.there)[0]
    row = Skeletons(
        "v", scene.width, scene.height,
        frame=np.array([frame], np.int32), time_s=np.array([frame / 12]),
        track_id=np.array([1], np.int32),
        keypoints=truth.uv[person, frame].reshape(1, -1).astype(np.float32),
        scores=np.ones((1, JOINTS), np.float32),
    )  # fmt: skip
    assert whose(row, truth)[0] != person
    assert not (sightings(scene, row).found & ~truth.there).any()


def test_the_nearest_other_person_is_among_the_features() -> None:
    scene = scene_with_two()
    alone = replace(scene, actors=scene.actors[:1])
    both, one = circumstances(scene).features[0], circumstances(alone).features[0]
    assert both.shape[1] == one.shape[1]
    differ = np.flatnonzero((both != one).any(0))
    assert len(differ) > 2
    np.testing.assert_array_equal(np.delete(both, differ, 1), np.delete(one, differ, 1))
