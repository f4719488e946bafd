"""Joints follow their crops when those are mirrored, moved and scaled."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.demo.captions import KINDS
from vigil.demo.clip_augment import Motion, augment, motions, move

PERSON, PAIR = KINDS.index("person"), KINDS.index("pair")


def theta(zoom: float, flip: float, x: float, y: float) -> NDArray[np.float32]:
    return np.array([[[zoom * flip, 0, x], [0, zoom, y]]], np.float32)


def test_a_joint_stays_on_the_spot_that_it_marks() -> None:
    crops = np.zeros((1, 3, 72, 72), np.float32)
    crops[0, :, 20, 50] = 255  # row, column
    joints = np.zeros((1, 2, 17, 2))
    joints[0, 0, 0] = (50.5 / 36 - 1, 20.5 / 36 - 1)
    for how in (theta(0.9, 1, 0.1, -0.1), theta(1.1, -1, 0.1, 0.05)):
        picture = augment(torch.from_numpy(crops), how, Motion(light=0.0), np.random.default_rng(0))
        row, column = divmod(int(picture[0, 0].argmax()), 72)
        moved, _ = move(joints, np.ones((1, 2, 17)), how, np.array([PERSON]))
        x, y = (moved[0, 0, 0].numpy() + 1) * 36 - 0.5
        assert abs(x - column) < 1
        assert abs(y - row) < 1


def test_in_a_mirror_left_joints_are_right_ones_and_the_left_person_is_the_right_one() -> None:
    joints = np.zeros((2, 2, 17, 2))
    joints[:, 0, 5] = (0.5, 0.2)  # the first person's left shoulder
    kinds = np.array([PERSON, PAIR])
    how = np.concatenate([theta(1, -1, 0, 0)] * 2)
    moved, _ = move(joints, np.ones((2, 2, 17)), how, kinds)
    np.testing.assert_allclose(moved[0, 0, 6], [-0.5, 0.2])
    np.testing.assert_allclose(moved[1, 1, 6], [-0.5, 0.2])


def test_what_leaves_the_crop_is_not_asked_for() -> None:
    joints = np.full((1, 2, 17, 2), 0.95)
    _, visible = move(joints, np.ones((1, 2, 17)), theta(0.9, 1, 0, 0), np.array([PERSON]))
    assert not visible.any()


def test_motions_stay_within_their_bounds() -> None:
    found = motions(200, Motion(zoom=0.1, shift=0.05), np.random.default_rng(0))
    assert (np.abs(np.abs(found[:, 0, 0]) - 1) <= 0.1 + 1e-6).all()
    assert (np.abs(found[:, :, 2]) <= 0.1 + 1e-6).all()
    assert {-1.0, 1.0} == set(np.sign(found[:, 0, 0]).tolist())
