"""What a recognizer is given: persons in order, frames evenly chosen, zeros where missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.skeletons import person, skeletons
from vigil.errors import InputError
from vigil.sampling import ClipArrays, clip_arrays, sample_clip, sample_indices
from vigil.schema import Clip

RNG = np.random.default_rng


def clip(start: int, end: int, video: str = "v") -> Clip:
    return Clip(f"{video}@0-1", video, start / 12, end / 12, start, end, 1)


@pytest.mark.parametrize("total", [1, 50, 99, 100, 150, 199, 200, 1000])
@pytest.mark.parametrize("sampling", ["loop", "stretch"])
@pytest.mark.parametrize("rng", [None, RNG(0)])
def test_indices_are_inside_and_in_order(total: int, sampling: Any, rng: Any) -> None:
    chosen = sample_indices(total, 100, sampling, rng)
    assert chosen.shape == (100,)
    assert chosen.min() >= 0
    assert chosen.max() < total
    if total >= 100 or sampling == "stretch":
        assert (np.diff(chosen) >= 0).all()
    if total >= 100:
        assert (np.diff(chosen) > 0).all()
        assert chosen[0] <= total / 100
        assert chosen[-1] >= total - 1 - total / 100


def test_a_short_clip_loops_as_published_or_stretches() -> None:
    assert sample_indices(3, 8, "loop").tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert sample_indices(4, 8, "stretch").tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert sample_indices(8, 8, "stretch").tolist() == list(range(8))


@pytest.mark.parametrize("total", [50, 150, 1000])
def test_training_draws_cover_what_mmaction2_draws(total: int) -> None:
    """Over many draws each position sees the same frames as mmaction2's UniformSampleFrames."""
    from vigil import compat

    compat.apply()
    from mmaction.datasets.transforms import UniformSampleFrames

    theirs = UniformSampleFrames(clip_len=100)
    np.random.seed(0)
    draws = 400
    rng = RNG(0)
    ours = np.mean([sample_indices(total, 100, "loop", rng) for _ in range(draws)], axis=0)
    other = np.mean([theirs._get_train_clips(total, 100) % total for _ in range(draws)], axis=0)
    np.testing.assert_allclose(ours, other, atol=total * 0.07)


def test_no_frame_is_refused() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        sample_indices(0, 100, "loop")


def test_the_lively_person_who_stays_comes_first() -> None:
    still = person(24, 0.0, RNG(0), (100, 200))
    lively = person(24, 1.2, RNG(1), (300, 200))
    visitor = person(24, 1.2, RNG(2), (500, 200))
    visitor[4:] = np.nan
    arrays = clip_arrays(skeletons("v", {1: visitor, 5: still, 9: lively}), clip(0, 24))
    assert arrays.track_ids == (9, 5, 1)


def test_missing_joints_and_absent_frames_are_zero() -> None:
    joints = person(24, 0.5, RNG(0))
    joints[3, 7] = np.nan
    joints[10:] = np.nan
    arrays = clip_arrays(skeletons("v", {1: joints}), clip(2, 20))
    assert arrays.keypoint.shape == (1, 18, 17, 2)
    assert not arrays.keypoint[0, 1, 7].any()
    assert arrays.score[0, 1, 7] == 0
    assert not arrays.keypoint[0, 8:].any()
    np.testing.assert_array_equal(arrays.keypoint[0, 0], joints[2])


def test_a_clip_without_persons_is_all_zeros() -> None:
    arrays = clip_arrays(skeletons("v", {1: person(24, 0.5, RNG(0))}), clip(30, 40))
    assert arrays.keypoint.shape == (0, 10, 17, 2)
    sampled = sample_clip(arrays, 8, 2, "stretch")
    assert sampled.shape == (2, 8, 17, 3)
    assert not sampled.any()


def test_persons_are_cut_and_padded_to_the_wanted_number() -> None:
    joints = np.stack([np.full((4, 17, 2), i + 1.0, np.float32) for i in range(3)])
    arrays = ClipArrays(joints, np.ones((3, 4, 17), np.float32), (1, 2, 3))
    sampled = sample_clip(arrays, 4, 2, "loop")
    assert sampled[:, 0, 0, 0].tolist() == [1.0, 2.0]
    assert sample_clip(arrays, 4, 5, "loop")[3:].any() == np.False_
    assert sampled.dtype == np.float32


def test_varying_frame_rate_is_shown_evenly_in_time() -> None:
    joints = np.tile(np.arange(1.0, 13.0, dtype=np.float32)[:, None, None], (1, 17, 2))
    time_s = np.concatenate([np.arange(6) * 0.1, 0.6 + np.arange(6) * 0.3])
    video = skeletons("v", {1: joints})
    shown = clip_arrays(video, clip(0, 12), time_s).keypoint[0, :, 0, 0]
    assert len(shown) == 12
    assert (shown <= 6).sum() < 6, "the fast half lasts a third of the time"
    even = clip_arrays(video, clip(0, 12), np.arange(12) / 12).keypoint[0, :, 0, 0]
    assert even.tolist() == list(range(1, 13))


def test_skeletons_of_another_video_are_refused() -> None:
    with pytest.raises(InputError, match="expected skeletons of w, got v"):
        clip_arrays(skeletons("v", {1: person(5, 0.5, RNG(0))}), clip(0, 5, "w"))
