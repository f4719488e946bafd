"""Joints averaged over a moment: less trembling, nothing invented, nobody mixed up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vigil.perception.smoothing import smooth
from vigil.schema import JOINTS, Skeletons

FPS = 12.0


def skeletons(
    points: np.ndarray, track_id: np.ndarray | None = None, time_s: np.ndarray | None = None
) -> Skeletons:
    """One video's rows from (N, 17, 2) points, all joints there."""
    rows = len(points)
    return Skeletons(
        "hall", 640, 360,
        frame=np.arange(rows, dtype=np.int32),
        time_s=np.arange(rows) / FPS if time_s is None else time_s,
        track_id=np.ones(rows, np.int32) if track_id is None else track_id.astype(np.int32),
        keypoints=points.reshape(rows, 2 * JOINTS).astype(np.float32),
        scores=np.full((rows, JOINTS), 0.8, np.float32),
    )  # fmt: skip


def test_trembling_shrinks_while_a_steady_walk_stays() -> None:
    walk = np.arange(60)[:, None, None] * np.ones((1, JOINTS, 2)) * 3.0
    noise = np.random.default_rng(0).normal(0, 4, walk.shape)
    found = smooth(skeletons(walk + noise), 0.1).xy
    inner = slice(5, -5)
    assert np.std(found[inner] - walk[inner]) < 0.7 * np.std(noise[inner])
    np.testing.assert_allclose(smooth(skeletons(walk), 0.1).xy[inner], walk[inner], atol=0.01)


def test_missing_joints_and_scores_stay_as_they_are() -> None:
    found = skeletons(np.random.default_rng(1).normal(100, 5, (20, JOINTS, 2)))
    found.keypoints[7, 8:10] = np.nan
    found.scores[7, 4] = 0.0
    smoothed = smooth(found, 0.2)
    assert np.isnan(smoothed.xy[7, 4]).all()
    assert np.isfinite(np.delete(smoothed.xy, 4, axis=1)).all()
    np.testing.assert_array_equal(smoothed.scores, found.scores)


def test_a_doubtful_joint_weighs_little() -> None:
    points = np.zeros((3, JOINTS, 2))
    points[1] = 30.0
    sure, doubtful = skeletons(points), skeletons(points)
    doubtful.scores[1] = 0.05
    assert smooth(doubtful, 0.1).xy[0].max() < 0.2 * smooth(sure, 0.1).xy[0].max()


def test_people_are_never_mixed() -> None:
    """Two people far apart, their rows interleaved: each keeps to its own place."""
    track_id = np.arange(40) % 2
    points = np.where(track_id[:, None, None] == 0, 10.0, 500.0) * np.ones((1, JOINTS, 2))
    found = smooth(skeletons(points, track_id, np.arange(40) // 2 / FPS), 0.3).xy
    np.testing.assert_allclose(found, points, atol=1e-3)


def test_frames_far_apart_in_time_do_not_touch_each_other() -> None:
    points = np.arange(4)[:, None, None] * np.ones((1, JOINTS, 2)) * 100.0
    late = np.array([0.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(smooth(skeletons(points, time_s=late), 0.2).xy, points)


def test_nothing_changes_without_a_width() -> None:
    found = skeletons(np.random.default_rng(2).normal(0, 1, (5, JOINTS, 2)))
    assert smooth(found, 0.0) is found


@given(rows=st.integers(0, 30), seed=st.integers(0, 99), sigma=st.floats(0.01, 1.0))
def test_joints_stay_within_what_their_track_has_seen(rows: int, seed: int, sigma: float) -> None:
    """A mean lies between the least and the greatest of its parts, whatever the times."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.5, rows))
    found = skeletons(rng.normal(0, 50, (rows, JOINTS, 2)), rng.integers(1, 3, rows), times)
    smoothed = smooth(found, sigma).xy
    for track in np.unique(found.track_id):
        own, new = (values[found.track_id == track] for values in (found.xy, smoothed))
        assert (new >= own.min(0) - 1e-3).all()
        assert (new <= own.max(0) + 1e-3).all()
