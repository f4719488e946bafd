"""Poses joined to tracks: one identity a person, missing stays missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.perception.conftest import skeletons_section
from tests.red_networks import JOINT_OFFSETS, MISSING_JOINT
from tests.videos import FPS, HEIGHT, TOP, WIDTH, film, walk
from vigil.errors import InputError
from vigil.perception.pose import PoseEstimator
from vigil.perception.skeletons import box_iou, follow_poses, match
from vigil.schema import Skeletons, Tracks
from vigil.session import OnnxSession


def tracks(rows: Sequence[tuple[int, int, float]]) -> Tracks:
    """Tracks of red people from (frame, track id, left edge)."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    left, top = table[:, 2], np.full(len(table), TOP)
    return Tracks(
        "hall",
        WIDTH,
        HEIGHT,
        frame=table[:, 0].astype(np.int32),
        time_s=table[:, 0] / FPS,
        track_id=table[:, 1].astype(np.int32),
        xyxy=np.stack([left, top, left + 32, top + 64], axis=1).astype(np.float32),
        score=np.ones(len(table), dtype=np.float32),
    )


@pytest.fixture
def network(networks: dict[str, Path]) -> PoseEstimator:
    return PoseEstimator(OnnxSession(networks["rtmo"]), skeletons_section())


def boxes(*lefts: float) -> np.ndarray:
    return np.array([[x, 0, x + 10, 20] for x in lefts], dtype=np.float32).reshape(-1, 4)


def test_two_people_who_cross_keep_their_skeletons(network: PoseEstimator, tmp_path: Path) -> None:
    ways = [walk(40, 8), walk(400, -8)]
    video = film(tmp_path / "hall.mp4", ways, frames=40)
    apart = [i for i in range(40) if abs(ways[0](i) - ways[1](i)) > 36]
    rows = [(i, person + 1, ways[person](i)) for i in apart for person in (0, 1)]
    found = follow_poses(video, tracks(rows), network, skeletons_section())
    assert found.frame.tolist() == [row[0] for row in rows]
    assert found.track_id.tolist() == [row[1] for row in rows]
    for xy, (_, _, left) in zip(found.xy, rows, strict=True):
        wanted = JOINT_OFFSETS + np.float32([left, TOP])
        wanted[MISSING_JOINT] = np.nan
        np.testing.assert_allclose(xy, wanted, atol=2.1)


def test_a_joint_the_network_doubts_is_missing(network: PoseEstimator, tmp_path: Path) -> None:
    video = film(tmp_path / "hall.mp4", [walk(40, 0)], frames=2)
    found = follow_poses(video, tracks([(0, 1, 40), (1, 1, 40)]), network, skeletons_section())
    assert np.isnan(found.xy[:, MISSING_JOINT]).all()
    assert (found.scores[:, MISSING_JOINT] == 0).all()
    others = np.delete(found.scores, MISSING_JOINT, axis=1)
    np.testing.assert_allclose(others, 0.9, atol=1e-6)


def test_people_without_pose_and_poses_without_track_are_absent(
    network: PoseEstimator, tmp_path: Path
) -> None:
    video = film(tmp_path / "hall.mp4", [walk(40, 0), walk(200, 0)], frames=3)
    nobody_there = [(i, 5, 400) for i in range(3)]
    found = follow_poses(video, tracks([(0, 1, 40), *nobody_there]), network, skeletons_section())
    assert list(zip(found.frame.tolist(), found.track_id.tolist(), strict=True)) == [(0, 1)]


def test_no_joint_above_the_threshold_is_no_skeleton(
    networks: dict[str, Path], tmp_path: Path
) -> None:
    strict = skeletons_section(keypoint_threshold=0.95)
    network = PoseEstimator(OnnxSession(networks["rtmo"]), strict)
    video = film(tmp_path / "hall.mp4", [walk(40, 0)], frames=2)
    assert len(follow_poses(video, tracks([(0, 1, 40)]), network, strict)) == 0


def test_a_video_without_tracks_gives_an_empty_table(
    network: PoseEstimator, tmp_path: Path
) -> None:
    video = film(tmp_path / "hall.mp4", [walk(40, 0)], frames=2)
    found = follow_poses(video, tracks([]), network, skeletons_section())
    found.write(tmp_path / "s.parquet")
    assert Skeletons.read(tmp_path / "s.parquet").xy.shape == (0, 17, 2)


def test_footage_shorter_than_its_tracks_is_refused(network: PoseEstimator, tmp_path: Path) -> None:
    video = film(tmp_path / "hall.mp4", [walk(40, 0)], frames=3)
    with pytest.raises(InputError, match=r"hall\.mp4: expected at least 8 frames, got 3"):
        follow_poses(video, tracks([(7, 1, 40)]), network, skeletons_section())


def test_matching_maximizes_the_sum_of_overlaps() -> None:
    # The greedy choice, 0 with 0, would leave 1 with nothing.
    assert match(boxes(0, 6), boxes(2, -4), least_iou=0.1) == [(0, 1), (1, 0)]


def test_pairs_below_the_least_overlap_push_nobody_aside() -> None:
    assert match(boxes(0), boxes(8, 1), least_iou=0.3) == [(0, 1)]
    assert match(boxes(0), boxes(8), least_iou=0.3) == []


@pytest.mark.parametrize(("tracked", "found"), [(0, 2), (2, 0), (0, 0)])
def test_nobody_matches_nobody(tracked: int, found: int) -> None:
    assert match(boxes(*range(tracked)), boxes(*range(found)), 0.3) == []


def test_iou_of_boxes_without_area_is_zero() -> None:
    flat = np.zeros((1, 4), dtype=np.float32)
    assert box_iou(flat, boxes(0))[0, 0] == 0
    assert box_iou(flat, flat)[0, 0] == 0
    assert box_iou(boxes(0), boxes(5))[0, 0] == pytest.approx(1 / 3)
