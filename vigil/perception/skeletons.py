"""Poses joined to tracks: a skeleton belongs to a tracked person or it is not kept.

Knows: who on a frame is who, by overlap of boxes. Does not know: which network found the poses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, SkeletonsSection
from vigil.errors import InputError
from vigil.items import Item, file_hash
from vigil.paths import Paths
from vigil.perception.pose import PoseEstimator, load_pose
from vigil.perception.poses import Poses
from vigil.perception.smoothing import smooth
from vigil.schema import JOINTS, Skeletons, Tracks
from vigil.video import Frame, decode

VERSION = 3  # raise it when the same inputs give other skeletons, so that caches are passed over
CHUNK = 8  # frames held at once


def skeletons_item(config: Config, paths: Paths, item: Item, out: Path) -> None:
    """Compute one video's `skeletons.parquet` in `out`; for worker processes.

    Args:
        config: all parameters.
        paths: of the project.
        item: its inputs are the video to look at and the video's tracks.
        out: an existing folder.
    """
    video, tracks = item.inputs
    found = follow_poses(video, Tracks.read(tracks), _estimator(config, paths), config.skeletons)
    found.write(out / "skeletons.parquet")


def skeletons_key(config: Config, paths: Paths) -> dict[str, Any]:
    """Return what besides video and tracks decides over the result; see `vigil.items.Work.key`.

    Raises:
        ModelError: the pose network's file is missing or does not fit the parameters.
    """
    load_pose(config, paths)
    return {
        "version": VERSION,
        "skeletons": config.skeletons.model_dump(mode="json"),
        "pose": file_hash(paths.onnx(config.skeletons.pose)),
    }


@lru_cache(maxsize=1)
def _estimator(config: Config, paths: Paths) -> PoseEstimator:
    return load_pose(config, paths)


def follow_poses(
    video: Path, tracks: Tracks, estimator: PoseEstimator, config: SkeletonsSection
) -> Skeletons:
    """Find the joints of every tracked person in a video.

    Frames without tracked people are decoded but not looked at.

    Args:
        video: the footage of the tracks, or its masked copy.
        tracks: who is where.
        estimator: finds the poses.
        config: least overlap of pose and track, least joint score, and how much to smooth.

    Raises:
        InputError: the video cannot be decoded or ends before the tracks do.
    """
    rows: list[int] = []
    points: list[NDArray[np.float32]] = []
    scores: list[NDArray[np.float32]] = []
    for frames in _chunks(_peopled(video, tracks)):
        images = [frame.rgb[: tracks.height, : tracks.width] for frame in frames]
        for frame, poses in zip(frames, estimator.estimate(images), strict=True):
            low, high = np.searchsorted(tracks.frame, [frame.index, frame.index + 1])
            for person, xy, score in joints_of(tracks.xyxy[low:high], poses, config):
                rows.append(int(low) + person)
                points.append(xy)
                scores.append(score)
    found = Skeletons(
        tracks.video_id,
        tracks.width,
        tracks.height,
        frame=tracks.frame[rows],
        time_s=tracks.time_s[rows],
        track_id=tracks.track_id[rows],
        keypoints=np.asarray(points, dtype=np.float32).reshape(-1, 2 * JOINTS),
        scores=np.asarray(scores, dtype=np.float32).reshape(-1, JOINTS),
    )
    return smooth(found, config.smooth_s)


def joints_of(
    tracked: NDArray[np.float32], poses: Poses, config: SkeletonsSection
) -> list[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Give the tracked people of one frame the poses found on it.

    Args:
        tracked: (N, 4) xyxy in pixels.
        poses: of the same frame.
        config: least overlap of pose and track, and least joint score.

    Returns:
        For everybody who has a joint: index in `tracked`, (17, 2) pixels with NaN where missing,
        and (17,) scores in [0, 1] with 0 where missing.
    """
    found = []
    for person, pose in match(tracked, poses.boxes, config.match_iou):
        seen = poses.keypoint_scores[pose] >= config.keypoint_threshold
        if seen.any():
            xy = np.where(seen[:, None], poses.keypoints[pose], np.float32(np.nan))
            score = np.clip(np.where(seen, poses.keypoint_scores[pose], np.float32(0)), 0, 1)
            found.append((person, xy, score))
    return found


def match(
    tracked: NDArray[np.float32], found: NDArray[np.float32], least_iou: float
) -> list[tuple[int, int]]:
    """Pair tracked boxes with found ones so that the sum of overlaps is greatest (Hungarian).

    Args:
        tracked: (N, 4) xyxy.
        found: (M, 4) xyxy in the same pixels.
        least_iou: pairs that overlap less are no pairs, and push no better pair aside.

    Returns:
        (index in tracked, index in found), by rising first index; each index at most once.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = box_iou(tracked, found)
    overlap[overlap < least_iou] = 0
    people, poses = linear_sum_assignment(overlap, maximize=True)
    pairs = zip(people.tolist(), poses.tolist(), strict=True)
    return [(person, pose) for person, pose in pairs if overlap[person, pose] > 0]


def box_iou(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (N, M) intersection over union of (N, 4) with (M, 4) xyxy boxes."""
    a, b = first[:, None].astype(np.float64), second[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    total = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    iou: NDArray[np.float64] = shared / np.maximum(total - shared, 1e-9)
    return iou


def _peopled(video: Path, tracks: Tracks) -> Iterator[Frame]:
    """Yield the frames on which somebody is tracked, and make sure that all of them came."""
    wanted = set(tracks.frame.tolist())
    count = 0
    for frame in decode(video):
        count += 1
        if frame.index in wanted:
            yield frame
    if wanted and count <= max(wanted):
        raise InputError(
            f"skeletons: {video.name}: expected at least {max(wanted) + 1} frames, got {count}"
        )


def _chunks(frames: Iterable[Frame]) -> Iterator[Sequence[Frame]]:
    source = iter(frames)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
