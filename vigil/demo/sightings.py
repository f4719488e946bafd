"""What is known of a person on a frame, and what the demo's networks made of them.

The pairs that `vigil.demo.learned_errors` learns from. Knows: scenes, and skeletons as
`vigil.perception.skeletons` writes them. Does not know: how errors are learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from vigil.demo.visibility import (
    LEAST_JOINTS,
    Bools,
    Floats,
    boxes_of,
    extent_of,
    hidden_joints,
    in_picture,
)
from vigil.demo.world.scenes import Scene
from vigil.demo.world.skeleton import tilt
from vigil.schema import JOINTS, Skeletons

_FAR: Final = 2.0  # body extents; joints further off seem to be so far off
_NEIGHBOR: Final = 2.5  # body extents; who is further off does not count
_NOBODY: Final = 3.0  # how far off the nearest other person is where there is none
_USUAL_PX: Final = 100.0  # extent of a person
_GAP: Final = 0.4  # body extents between a skeleton and the person it is of
_NEVER: Final = 9.0  # body extents; more than any pair has


@dataclass(frozen=True, eq=False)
class Circumstances:
    """Everybody in a scene, A people on T frames, and what may decide how well they are found.

    Attributes:
        features: (A, T, F) float32: own joints, their speed, which are in the picture and which
            hidden; size, tilt, place and shape of the box; the nearest other person; the light.
        uv: (A, T, 17, 2) pixels; joints far outside the picture lie near it.
        seen: (A, T, 17) joints in the picture.
        extent: (A, T) larger side of the box in pixels.
        boxes: (A, T, 4) xyxy pixels.
        depth: (A, T) meters from the camera.
        there: (A, T) who has enough joints in the picture to be found.
    """

    features: NDArray[np.float32]
    uv: Floats
    seen: Bools
    extent: Floats
    boxes: Floats
    depth: Floats
    there: Bools


@dataclass(frozen=True, eq=False)
class Sightings:
    """What was found of everybody in a scene.

    Attributes:
        features: (A, T, F) float32, see `Circumstances`.
        error: (A, T, 17, 2) float32, found minus true place in body extents; NaN where missing.
        score: (A, T, 17) float32, 0 where missing.
        found: (A, T) who was found.
        there: (A, T) who could be.
    """

    features: NDArray[np.float32]
    error: NDArray[np.float32]
    score: NDArray[np.float32]
    found: Bools
    there: Bools


def circumstances(scene: Scene) -> Circumstances:
    """Return what is known of everybody in a scene without drawing it."""
    true, depth = scene.joints()
    size = (scene.width, scene.height)
    uv, seen = in_picture(true, depth, size)
    far = depth.mean(-1)
    boxes = boxes_of(uv, seen)
    extent = extent_of(boxes)
    there = seen.sum(-1) >= LEAST_JOINTS
    hidden = hidden_joints(uv, boxes, far)
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    own = np.clip((uv - center[:, :, None]) / extent[..., None, None], -_FAR, _FAR)
    step = np.diff(uv, axis=1, prepend=uv[:, :1]) / extent[..., None, None]
    room = np.array([float(scene.room.infrared), float(scene.room.noise)])
    people, frames = there.shape
    features = np.concatenate(
        [
            own.reshape(people, frames, -1),
            np.clip(step, -1, 1).reshape(people, frames, -1),
            seen,
            hidden,
            np.log(extent / _USUAL_PX)[..., None],
            tilt(uv)[..., None],
            center / np.array(size) - 0.5,
            (boxes[..., 2:] - boxes[..., :2]) / extent[..., None],
            _neighbors(uv, center, extent, far, there),
            np.broadcast_to(room, (people, frames, 2)),
            seen.mean(-1)[..., None],
            hidden.mean(-1)[..., None],
        ],
        axis=-1,
    )
    return Circumstances(features.astype(np.float32), uv, seen, extent, boxes, far, there)


def _neighbors(uv: Floats, center: Floats, extent: Floats, far: Floats, there: Bools) -> Floats:
    """Return of the nearest other person the distance, whether in front, and the joints.

    Returns:
        (A, T, 36): body extents, 1 in front and -1 behind, and 17 joints as seen from the own
        center in own extents, 0 where nobody is near.
    """
    people, frames = there.shape
    joints = np.zeros((people, frames, JOINTS, 2))
    distance, front = np.full((people, frames), _NOBODY), np.zeros((people, frames))
    for own in range(people):
        for other in range(people):
            if own == other:
                continue
            apart = np.linalg.norm(center[other] - center[own], axis=-1) / extent[own]
            nearer = there[other] & (apart < distance[own])
            distance[own][nearer] = apart[nearer]
            front[own][nearer] = np.where(far[other] < far[own], 1.0, -1.0)[nearer]
            seen_from = (uv[other] - center[own][:, None]) / extent[own][:, None, None]
            joints[own][nearer] = np.clip(seen_from, -_FAR, _FAR)[nearer]
    joints *= (distance < _NEIGHBOR)[..., None, None]
    return np.concatenate(
        [distance[..., None], front[..., None], joints.reshape(people, frames, -1)], axis=-1
    )


def sightings(scene: Scene, found: Skeletons) -> Sightings:
    """Join a scene's people to what was found of them.

    Args:
        scene: what happens.
        found: its skeletons, as the stage `skeletons` writes them.
    """
    truth = circumstances(scene)
    shape = truth.there.shape
    error = np.full((*shape, JOINTS, 2), np.nan, np.float32)
    score = np.zeros((*shape, JOINTS), np.float32)
    seen = np.zeros(shape, bool)
    who = whose(found, truth)
    rows = np.flatnonzero(who >= 0)
    at = who[rows], found.frame[rows]
    error[at] = (found.xy[rows] - truth.uv[at]) / truth.extent[at][:, None, None]
    score[at], seen[at] = found.scores[rows], True
    return Sightings(truth.features, error, score, seen, truth.there)


def whose(found: Skeletons, truth: Circumstances) -> NDArray[np.int64]:
    """Return whose each of N skeletons is, by the median distance of its joints: index or -1."""
    who = np.full(len(found.frame), -1)
    for frame in np.unique(found.frame):
        rows = np.flatnonzero(found.frame == frame)
        gaps = np.linalg.norm(found.xy[rows][:, None] - truth.uv[None, :, frame], axis=-1)
        with np.errstate(all="ignore"):
            apart = np.nanmedian(gaps, axis=-1) / truth.extent[None, :, frame]
        apart = np.nan_to_num(apart, nan=_NEVER)
        apart[:, ~truth.there[:, frame]] = _NEVER
        for row, person in zip(*linear_sum_assignment(apart), strict=True):
            if apart[row, person] < _GAP:
                who[rows[row]] = person
    return who
