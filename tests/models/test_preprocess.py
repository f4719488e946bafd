"""The recognizer's first layer: what it ignores, what it keeps, what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.skeletons import person
from vigil.errors import InputError
from vigil.models.layouts import layout
from vigil.models.preprocess import STREAMS, SkeletonInput

SIZE = torch.tensor([[640.0, 360.0]])


def clip(frames: int = 12) -> Tensor:
    """Two persons, (1, 2, frames, 17, 3)."""
    rng = np.random.default_rng(0)
    people = np.stack([person(frames, 0.5, rng, (200.0 + 100 * i, 180.0)) for i in range(2)])
    scores = np.full((*people.shape[:3], 1), 0.9, np.float32)
    return torch.from_numpy(np.concatenate([people, scores], -1))[None]


def changed(x: Tensor, scale: float, shift: float) -> Tensor:
    """Scale and shift x and y, leaving scores."""
    return torch.cat([x[..., :2] * scale + shift, x[..., 2:]], -1)


@pytest.mark.parametrize("norm", ["box", "body", "track"])
def test_place_and_distance_to_the_camera_do_not_matter(norm: Any) -> None:
    module = SkeletonInput("coco_new", "j", norm)
    before, after = module(clip(), SIZE), module(changed(clip(), 2.5, 40.0), SIZE)
    torch.testing.assert_close(before, after, atol=1e-4, rtol=1e-4)


def test_image_norm_is_the_published_one() -> None:
    out = SkeletonInput("coco", "j", "image")(clip(), SIZE)
    x = clip()
    torch.testing.assert_close(out[..., 0], (x[..., 0] - 320) / 320)
    torch.testing.assert_close(out[..., 1], (x[..., 1] - 180) / 180)
    torch.testing.assert_close(out[..., 2], x[..., 2])


def test_pixels_are_left_as_they_are() -> None:
    torch.testing.assert_close(SkeletonInput("coco", "j", "pixels")(clip(), SIZE), clip())


def test_box_norm_keeps_how_far_people_are_apart() -> None:
    x = clip()
    apart = x.clone()
    apart[:, 1, ..., 0] += 150
    gaps = []
    for sample in (x, apart):
        out = SkeletonInput("coco", "j", "body")(sample, SIZE)
        gaps.append(float((out[0, 1] - out[0, 0])[..., 0].mean()))
    assert gaps[1] > gaps[0] * 2


def test_track_norm_keeps_movement_and_forgets_place_and_size_of_each_person() -> None:
    module, x = SkeletonInput("coco", "jm", "track"), clip()
    moved = x.clone()
    moved[:, 1, ..., 0] = moved[:, 1, ..., 0] * 0.5 + 400
    moved[:, 1, ..., 1] *= 0.5
    torch.testing.assert_close(module(moved, SIZE), module(x, SIZE), atol=1e-4, rtol=1e-4)
    assert module(x, SIZE)[..., :2].abs().max() > 0.01


@pytest.mark.parametrize("norm", ["image", "box", "body", "track", "pixels"])
@pytest.mark.parametrize("stream", STREAMS)
def test_missing_joints_are_zero_and_move_nobody_else(norm: Any, stream: str) -> None:
    x = clip()
    lost = x.clone()
    lost[:, 0, 3:6, 7] = 0.0
    module = SkeletonInput("coco", stream, norm)
    whole, holed = module(x, SIZE), module(lost, SIZE)
    one, other = (1, 0) if stream[0] == "p" else (0, 1)  # whose partner, or who, has lost it
    assert holed[0, one, 3:6, 7, :2].abs().max() == 0
    left = [joint for joint in range(17) if stream[0] != "p" or joint != 7]
    near = {"atol": 0.05 if stream[0] == "p" else 0.02, "rtol": 0.02}  # a middle moves a little
    torch.testing.assert_close(holed[0, other][:, left], whole[0, other][:, left], **near)


@pytest.mark.parametrize("norm", ["image", "box", "body", "track"])
def test_an_empty_clip_is_all_zeros(norm: Any) -> None:
    for size in (SIZE, torch.zeros(1, 2)):
        if norm == "image" and not size.any():
            continue
        out = SkeletonInput("coco_new", "j+b+jm+p", norm)(torch.zeros(1, 2, 8, 17, 3), size)
        assert out.shape == (1, 2, 8, 20, 12)
        assert out.abs().max() == 0


def test_a_derived_joint_needs_both_its_parents() -> None:
    x = clip()
    x[:, :, :, 11] = 0.0
    out = SkeletonInput("coco_new", "j", "box")(x, SIZE)
    assert out[..., 17, :2].abs().max() == 0
    assert out[..., 18, :2].abs().max() == 0
    assert out[..., 19, :2].abs().min() > 0


def test_streams_are_differences() -> None:
    joints = SkeletonInput("coco", "j", "box")(clip(), SIZE)
    bones = SkeletonInput("coco", "b", "box")(clip(), SIZE)
    parents = list(layout("coco").parents)
    torch.testing.assert_close(bones[..., :2], (joints - joints[..., parents, :])[..., :2])
    motion = SkeletonInput("coco", "jm", "box")(clip(), SIZE)
    torch.testing.assert_close(motion[:, :, :-1, :, :2], joints.diff(dim=2)[..., :2])
    assert motion[:, :, -1, :, :2].abs().max() == 0
    both = SkeletonInput("coco", "j+bm", "box")(clip(), SIZE)
    torch.testing.assert_close(both[..., :3], joints)
    torch.testing.assert_close(both[:, :, :-1, :, 3:5], bones.diff(dim=2)[..., :2])


def partners(x: Tensor, stream: str = "p", norm: Any = "body") -> Tensor:
    """What stream `p` says of a clip."""
    return SkeletonInput("coco", stream, norm)(x, SIZE)


def crowd() -> Tensor:
    """Three persons in a row, the second nearer to the third, (1, 3, 12, 17, 3)."""
    x = clip()
    third = x[:, 1:].clone()
    third[..., 0] += 40
    return torch.cat([x, third], dim=1)


def test_the_partner_is_the_nearest_other_person_seen_from_the_own_middle() -> None:
    x = crowd()
    joints, seen = SkeletonInput("coco", "j", "body")(x, SIZE), partners(x)
    nearest = {0: 1, 1: 2, 2: 1}
    for own, other in nearest.items():
        offset = joints[0, other, ..., :2] - joints[0, own, ..., :2].mean(dim=1, keepdim=True)
        bounded = offset / (1 + offset.norm(dim=-1, keepdim=True) / 2)
        torch.testing.assert_close(seen[0, own, ..., :2], bounded, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(seen[..., 2], joints[..., 2])
    motion = partners(x, "pm")
    torch.testing.assert_close(motion[:, :, :-1, :, :2], seen.diff(dim=2)[..., :2])


def test_who_is_alone_has_no_partner_and_a_far_one_is_at_most_two_bodies_away() -> None:
    x = clip()
    x[:, 0, 4:7] = 0.0  # one of two is gone for three frames
    seen = partners(x)
    assert seen[:, :, 4:7].abs().max() == 0
    assert seen[:, :, :4].abs().max() > 0
    assert partners(clip()[:, :1]).abs().max() == 0
    far = clip()
    far[:, 1, ..., 0] += 1e5
    assert 1.9 < partners(far)[..., :2].norm(dim=-1).max() <= 2.0


@pytest.mark.parametrize("norm", ["image", "box", "track", "pixels"])
def test_partners_are_seen_in_bodies_whatever_the_own_joints_are_in(norm: Any) -> None:
    torch.testing.assert_close(partners(crowd(), "p", norm), partners(crowd()))


def test_the_order_of_persons_and_empty_slots_change_no_partner() -> None:
    x = crowd()
    seen, order = partners(x), [2, 0, 1]
    torch.testing.assert_close(partners(x[:, order]), seen[:, order])
    torch.testing.assert_close(partners(torch.cat([x, torch.zeros_like(x)], 1))[:, :3], seen)


def test_low_scores_count_as_missing() -> None:
    x = clip()
    x[:, 0, :, 9, 2] = 0.05
    out = SkeletonInput("coco", "j", "box", min_score=0.1)(x, SIZE)
    assert out[0, 0, :, 9].abs().max() == 0


@pytest.mark.parametrize(("stream", "norm"), [("j+x", "box"), ("", "box"), ("j", "meters")])
def test_unknown_parameters_are_refused(stream: str, norm: Any) -> None:
    with pytest.raises(InputError, match="expected"):
        SkeletonInput("coco", stream, norm)
