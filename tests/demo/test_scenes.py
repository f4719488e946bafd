"""Scenes: determinism, random access and ground truth that fits the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.demo.world import behaviors
from vigil.demo.world.scenes import FrameTruth, make_scene

LEAVES = (*behaviors.NORMAL, *behaviors.ASSAULT, *behaviors.FAINT)


def _same(a: FrameTruth, b: FrameTruth) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("track_ids", "boxes", "masks", "keypoints", "visibility", "visible_fraction")
    )


def test_equal_seeds_give_equal_pixels_and_truth() -> None:
    first, truth = make_scene(5, "punch").render(30)
    second, again = make_scene(5, "punch").render(30)
    assert np.array_equal(first, second)
    assert _same(truth, again)


def test_other_seeds_give_other_pixels() -> None:
    assert not np.array_equal(make_scene(5).render(3)[0], make_scene(6).render(3)[0])


def test_random_access_equals_sequential_rendering() -> None:
    sequential = make_scene(8, "push", duration_s=2.0)
    frames = [sequential.render(i)[0] for i in range(sequential.n_frames)]
    for index in (sequential.n_frames - 1, 7):
        assert np.array_equal(make_scene(8, "push", duration_s=2.0).render(index)[0], frames[index])


def test_truth_alone_equals_the_rendered_truth() -> None:
    scene = make_scene(12, "kick")
    for index in (0, 40, 80):
        assert _same(scene.render(index)[1], scene.truth(index))


def test_frame_outside_the_scene_is_refused() -> None:
    scene = make_scene(1)
    with pytest.raises(IndexError, match="expected 0 to"):
        scene.render(scene.n_frames)


def test_unknown_behavior_is_refused() -> None:
    with pytest.raises(ValueError, match="got 'dance'"):
        make_scene(1, "dance")


def test_camera_seed_moves_the_camera_and_keeps_the_room() -> None:
    one, two = (
        make_scene(1, scene_seed=3, camera_seed=0),
        make_scene(1, scene_seed=3, camera_seed=1),
    )
    assert one.room is two.room
    assert not np.allclose(one.camera.position, two.camera.position)


@pytest.mark.parametrize("leaf", LEAVES)
def test_truth_fits_the_picture(leaf: str) -> None:
    """Boxes are tight around masks, visible joints lie in the image and near the mask."""
    scene = make_scene(40, leaf)
    event = scene.events[0]
    truth = scene.truth(min(int((event.start_s + 0.8) * scene.fps), scene.n_frames - 1))
    assert len(truth.track_ids) >= 1
    assert truth.masks.sum(axis=0).max() <= 1
    for i in range(len(truth.track_ids)):
        ys, xs = np.nonzero(truth.masks[i])
        assert truth.boxes[i].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert 0 < truth.visible_fraction[i] <= 1
        inside = np.all((truth.keypoints[i] >= 0) & (truth.keypoints[i] < [640, 360]), axis=1)
        assert np.array_equal(truth.visibility[i] > 0, inside)
        for x, y in truth.keypoints[i][truth.visibility[i] == 2]:
            assert np.hypot(xs - x, ys - y).min() < 3


def test_people_show_in_the_pixels_under_their_masks() -> None:
    """The pixels under the masks differ from the empty room, those far from them do not."""
    scene = make_scene(21, "talk")
    image, truth = scene.render(60)
    change = np.abs(image.astype(float) - scene.backdrop.rgb).mean(axis=2)
    covered = truth.masks.any(axis=0)
    assert change[covered].mean() > 3 * np.median(change[~covered])


def test_a_lying_person_is_low_and_stays() -> None:
    scene = make_scene(3, "collapse_backward")
    start, end = scene.events[0].start_s, scene.events[0].end_s
    actor = scene.actors[0]
    before, after = actor.frames(np.array([start, min(start + 3.2, end)])).origin[:, :, 2]
    assert before[2] > 1.1
    assert after.max() < 0.75


def test_someone_helped_up_begins_low_and_ends_standing() -> None:
    scene = make_scene(4, "help_up")
    low, high = scene.actors[1].frames(np.array([0.1, scene.events[0].end_s + 0.3])).origin[:, 2, 2]
    assert low < 1.05
    assert high > 1.2


@pytest.mark.parametrize("leaf", behaviors.ASSAULT)
def test_an_attacker_reaches_the_victim(leaf: str) -> None:
    """Some time in the event a hand or foot comes within 35 cm of the victim's body axis."""
    scene = make_scene(17, leaf)
    event = scene.events[0]
    times = np.arange(event.start_s, event.end_s, 1 / 30)
    attacker, victim = (scene.actors[i].frames(times).origin for i in (0, 1))
    limbs = attacker[:, [5, 8, 11, 14]]
    torso = victim[:, :3]
    gap = np.linalg.norm(limbs[:, :, None] - torso[:, None], axis=-1)
    assert gap.min() < 0.35


@pytest.mark.parametrize("leaf", LEAVES)
def test_nobody_sinks_into_the_floor_or_jumps(leaf: str) -> None:
    scene = make_scene(50, leaf)
    times = np.arange(0, scene.n_frames / scene.fps, 1 / 24)
    for actor in scene.actors:
        origin = actor.frames(times).origin
        assert origin[:, :, 2].min() > -0.01
        assert np.linalg.norm(np.diff(origin[:, 1], axis=0), axis=1).max() < 0.35
