"""Views of images in a device's memory: places move with the pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vigil.demo.drawing import Shard
from vigil.demo.image_store import ImageStore, View
from vigil.demo.pose_data import FLIPPED, Persons
from vigil.perception import rtmo, yolo

SIZE = (640, 360)
CPU = torch.device("cpu")
PLAIN = {"gray": 0.0, "soft": 0.0, "focus": 0.0}


def shard(count: int, brightness: int = 100) -> Shard:
    """Images with one person each, whose joints are white squares of 12 pixels."""
    rng = np.random.default_rng(0)
    images = np.full((count, 360, 640, 3), brightness, np.uint8)
    persons = []
    for image in images:
        joints = rng.uniform((220, 120), (420, 240), (17, 2)).round()
        for x, y in joints.astype(int):
            image[y - 6 : y + 6, x - 6 : x + 6] = 255
        box = np.array([[200, 100, 440, 260]], np.float32)
        persons.append(
            Persons(box, joints[None].astype(np.float32), np.ones((1, 17), np.float32),
                    np.array([9000.0], np.float32))
        )  # fmt: skip
    return Shard(images, persons)


def store(shards: list[Shard], capacity: int = 8) -> ImageStore:
    made = ImageStore(capacity, SIZE, CPU)
    for one in shards:
        made.add(one)
    return made


@pytest.mark.parametrize("view", [
    View((512, 288), **PLAIN), View((384, 224), (0.5, 0.9), **PLAIN),
    View((256, 160), (1.0, 1.6), gray=0.0, soft=0.0, focus=1.0),
])  # fmt: skip
def test_joints_lie_where_their_pixels_are(view: View) -> None:
    random = torch.Generator().manual_seed(3)
    images, persons = store([shard(6)]).draw(24, view, random)
    assert images.shape == (24, 3, view.size[1], view.size[0])
    assert images.round().equal(images)
    seen = 0
    for picture, joints, visible in zip(
        images.mean(dim=1), persons.keypoints[:, 0], persons.visible[:, 0], strict=True
    ):
        around = float(picture.median())
        for (x, y), known in zip(joints.tolist(), visible.tolist(), strict=True):
            if known:
                assert float(picture[int(y), int(x)]) > around + 20
                seen += 1
    assert seen > 100


def test_a_whole_image_is_what_the_networks_are_given() -> None:
    """But for color: rounding and the chance of a mirror image are left."""
    one = shard(1)
    for size, anchor in (((512, 288), (0.0, 0.0)), ((384, 224), (0.5, 0.5))):
        view = View(size, (1.0, 1.0), anchor=anchor, **PLAIN)
        sampled = store([one])._sample(
            torch.tensor([0]), _upright(store([one]), view), view
        )[0]  # fmt: skip
        rgb = np.ascontiguousarray(one.images[0][..., ::-1])
        if size == (512, 288):
            given = rtmo.preprocess(rgb, size)[0]
        else:
            given = yolo.preprocess(rgb, size[1], size[0])[0][::-1] * 255
        assert np.abs(sampled.numpy() - given).max() <= 1.0


def _upright(made: ImageStore, view: View) -> object:
    """Return a placement that is no mirror image."""
    for seed in range(50):
        placed = made._place(torch.tensor([0]), view, torch.Generator().manual_seed(seed))
        if not placed.mirrored.any():
            return placed
    raise AssertionError


def test_mirrored_people_have_left_and_right_exchanged() -> None:
    made = store([shard(1)])
    view = View(SIZE, (1.0, 1.0), anchor=(0.0, 0.0), **PLAIN)
    rows = torch.zeros(20, dtype=torch.long)
    placed = made._place(rows, view, torch.Generator().manual_seed(0))
    found = made._move(rows, placed, view)
    own = made.persons.keypoints[0, 0]
    turned = own[torch.as_tensor(FLIPPED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([640.0, 0.0])
    assert placed.mirrored.any()
    assert not placed.mirrored.all()
    for mirrored, joints in zip(placed.mirrored, found.keypoints[:, 0], strict=True):
        torch.testing.assert_close(joints, turned if mirrored else own)


def test_who_is_mostly_outside_is_not_there() -> None:
    made = store([shard(1)])
    view = View((640, 360), (4.0, 4.0), anchor=(0.0, 0.0), **PLAIN)
    _, persons = made.look(torch.zeros(4, dtype=torch.long), view, torch.Generator())
    assert not persons.there.any()


def test_new_images_take_the_place_of_the_oldest() -> None:
    made = store([shard(3, 10), shard(3, 20), shard(3, 30)], capacity=5)
    assert (made.count, made.seen) == (5, 9)
    assert sorted(made.images[:, 0, 0, 0].tolist()) == [20, 20, 30, 30, 30]


def test_slots_without_anybody_are_not_there() -> None:
    persons = Persons(np.zeros((0, 4), np.float32), np.zeros((0, 17, 2), np.float32),
                      np.zeros((0, 17), np.float32), np.zeros(0, np.float32))  # fmt: skip
    empty = Shard(np.zeros((1, 360, 640, 3), np.uint8), [persons])
    images, found = store([empty]).draw(2, View((384, 224)), torch.Generator().manual_seed(0))
    assert not found.there.any()
    assert torch.isfinite(images).all()
