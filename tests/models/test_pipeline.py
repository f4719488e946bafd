"""Augmentation varies a clip and never invents a joint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.skeletons import annotation, config
from vigil import compat

compat.apply()

from vigil.models.pipeline import AugmentSkeleton  # noqa: E402  after the bridges

OFF = {"flip": 0, "rotate_deg": 0, "scale": 0, "jitter": 0, "drop_joint": 0, "drop_span": 0,
       "crop": 0, "time_scale": 0, "offset": 0, "roll": 0}  # fmt: skip


def sample() -> dict[str, Any]:
    row = annotation(0, 1)
    row["keypoint_score"] = row["keypoint_score"].copy()
    row["keypoint_score"][0, 5:9, 3] = 0.0
    row["keypoint"][row["keypoint_score"] <= 0] = 0.0
    return row


def test_all_off_changes_nothing() -> None:
    row = sample()
    out = AugmentSkeleton(**OFF)(row)
    np.testing.assert_allclose(out["keypoint"], row["keypoint"], atol=1e-3)
    np.testing.assert_array_equal(out["keypoint_score"], row["keypoint_score"])


@pytest.mark.parametrize("name", [*OFF, "everything"])
def test_missing_joints_stay_missing(name: str) -> None:
    values = (
        config().training("protogcn").augment.model_dump()
        if name == "everything"
        else OFF | {name: 0.2}
    )
    np.random.seed(0)
    for _ in range(10):
        out = AugmentSkeleton(**values)(sample())
        assert out["keypoint"].shape[:3] == out["keypoint_score"].shape
        assert out["total_frames"] == out["keypoint"].shape[1]
        assert not out["keypoint"][out["keypoint_score"] <= 0].any()
        assert np.isfinite(out["keypoint"]).all()


def test_mirroring_swaps_the_sides() -> None:
    row = sample()
    out = AugmentSkeleton(**(OFF | {"flip": 1}))(row)
    left, right = out["keypoint"][1, :, 9], row["keypoint"][1, :, 10]
    np.testing.assert_allclose(left[:, 0], 639 - right[:, 0], atol=1e-3)
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=1e-3)
    assert (out["keypoint_score"][0, 5:9, 4] == 0).all()


def test_the_given_arrays_are_left_alone() -> None:
    row = sample()
    before = row["keypoint"].copy(), row["keypoint_score"].copy()
    AugmentSkeleton(**config().training("protogcn").augment.model_dump())(row)
    np.testing.assert_array_equal(before[0], row["keypoint"])
    np.testing.assert_array_equal(before[1], row["keypoint_score"])


@pytest.mark.parametrize("persons", [0, 1])
def test_empty_and_lonely_clips_survive(persons: int) -> None:
    row = sample()
    row["keypoint"], row["keypoint_score"] = (
        row["keypoint"][:persons], row["keypoint_score"][:persons]
    )  # fmt: skip
    for _ in range(5):
        out = AugmentSkeleton(**config().training("protogcn").augment.model_dump())(row)
        assert len(out["keypoint"]) == persons


def test_cropping_keeps_most_of_the_time() -> None:
    np.random.seed(1)
    frames = [
        AugmentSkeleton(**(OFF | {"crop": 0.25}))(sample())["total_frames"] for _ in range(40)
    ]
    assert 18 <= min(frames) < 22
    assert max(frames) >= 23


def moments(**values: float) -> list[int]:
    """Return which of the frames 0 to 23 the augmented clip shows, told by a joint's place."""
    row = sample()
    row["keypoint"][..., 0] = 1.0 + np.arange(24)[None, :, None]
    row["keypoint_score"][:] = 1.0
    out = AugmentSkeleton(**(OFF | values))(row)
    return [round(float(x)) - 1 for x in out["keypoint"][0, :, 0, 0]]


def test_another_pace_shows_less_of_the_clip_or_more_than_all_of_it() -> None:
    """Slower: a part, each frame for longer. Faster: the end is reached and time runs back."""
    np.random.seed(0)
    seen = [moments(time_scale=0.5) for _ in range(60)]
    slow = [m for m in seen if len(set(m)) < 22 and m == sorted(m)]
    fast = [m for m in seen if m != sorted(m)]
    assert len(slow) > 10
    assert len(fast) > 10
    assert min(len(set(m)) for m in slow) >= 24 / 1.5 - 1
    assert all(len(m) == 24 and max(abs(np.diff(m))) <= 2 for m in seen)
    assert all(max(m) == 23 for m in fast)


def test_an_offset_moves_the_clip_in_time_without_a_jump() -> None:
    np.random.seed(0)
    seen = [moments(offset=0.25) for _ in range(60)]
    first = [m.index(min(m)) if m[0] else -m[0] for m in seen]
    assert len({m[0] for m in seen}) > 4
    assert max(m[0] for m in seen) <= 6
    assert max(max(abs(np.diff(m))) for m in seen) <= 1
    assert max(first) >= 3


def test_the_middle_of_the_clip_is_never_lost() -> None:
    np.random.seed(2)
    for _ in range(50):
        assert set(range(9, 15)) & set(moments(offset=0.25, time_scale=0.3))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_clips_survive_another_pace(frames: int) -> None:
    row = annotation(0, 1, frames)
    out = AugmentSkeleton(**(OFF | {"time_scale": 1.0, "offset": 0.5}))(row)
    assert out["total_frames"] == frames


def test_a_rolled_clip_keeps_its_order_but_for_one_cut() -> None:
    np.random.seed(0)
    seen = [moments(roll=1.0) for _ in range(60)]
    assert all(sorted(m) == list(range(24)) for m in seen)
    assert all((np.diff(m) % 24 == 1).all() for m in seen)
    assert len({m[0] for m in seen}) > 15
    halves = [moments(roll=0.5) for _ in range(200)]
    assert 60 < sum(m[0] != 0 for m in halves) < 130
