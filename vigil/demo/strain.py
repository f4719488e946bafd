"""What a pose network makes of people on real footage, for simulated skeletons.

It errs most where people move fast and where they cover each other. The demo's own networks have
errors of their own: `vigil.demo.disturbances`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.demo.disturbances import People
from vigil.demo.visibility import LEAST_JOINTS, boxes_of
from vigil.models.layouts import layout
from vigil.sampling import body_extent
from vigil.schema import JOINTS

Floats = NDArray[np.float64]
_SMOOTH_S = 0.3  # seconds that a fast movement spoils, motion blur and the tracker's lag included
_MOST_LOST = 0.9  # share of frames, however bad the joints are
_NEW_IDENTITY = 10  # is added to the old one; scenes have fewer people
# Face, shoulders, elbows, wrists, hips, knees, ankles.
_LIMB_NOISE = np.repeat([0.3, 0.4, 0.7, 1.3, 0.35, 0.55, 0.75], [5, 2, 2, 2, 2, 2, 2])
_MIRROR = list(layout("coco").mirror)


@dataclass(frozen=True)
class Strained:
    """How much the joints of one scene are disturbed; every number is the most that is drawn.

    Attributes:
        noise: deviation of a joint, in body extents; half of it lasts, half is new every frame.
        lost_joint: share of joints lost frame by frame.
        lost_frame: share of frames in which a person is not found.
        gap: chance per person of being lost for up to a second.
        switch: chance per person of getting another identity midway.
        swap: chance per person and second of left and right being taken for each other, for a
            moment or for most of the second.
        motion: how many times worse a joint is found per body extent and second of its speed.
        overlap: how many times worse a person is found who is covered whole by another.
        fade: how much of what makes joints worse lowers their scores; 1: in proportion.
    """

    noise: float = 0.1
    lost_joint: float = 0.08
    lost_frame: float = 0.15
    gap: float = 0.4
    switch: float = 0.15
    swap: float = 0.25
    motion: float = 0.0
    overlap: float = 0.0
    fade: float = 0.0


def strained(
    uv: Floats,
    depth: Floats,
    size: tuple[int, int],
    fps: float,
    how: Strained,
    rng: np.random.Generator,
) -> People:
    """Make of true joints what a network would have found on real footage.

    Args:
        uv: (A, T, 17, 2) true pixels.
        depth: (A, T, 17) meters along the view; negative behind the camera.
        size: width and height of the picture.
        fps: frames per second.
        how: what goes wrong and how much.
        rng: source of every choice.
    """
    seen = (depth > 0.2) & (uv >= 0).all(-1) & (uv < np.array(size)).all(-1)
    strains = strain(list(uv), list(seen), fps, how.motion, how.overlap)
    frames = uv.shape[1]
    identity = np.repeat(np.arange(1, len(uv) + 1)[:, None], frames, axis=1)
    moved, score = np.empty_like(uv), np.empty(uv.shape[:3])
    for index, worse in enumerate(strains):
        moved[index], score[index] = _disturb(uv[index], seen[index], worse, fps, how, rng)
        if rng.random() < how.switch:
            identity[index, rng.integers(frames) :] += _NEW_IDENTITY
    score[(score > 0).sum(-1) < LEAST_JOINTS] = 0.0
    return People(moved, depth.mean(-1), seen, score, identity)


def strain(
    people: Sequence[Floats],
    seen: Sequence[NDArray[np.bool_]],
    fps: float,
    motion: float,
    overlap: float,
) -> list[Floats]:
    """Tell how many times worse than at rest each joint is found.

    Args:
        people: (T, 17, 2) pixels of every person.
        seen: (T, 17) per person, which joints are in the picture.
        fps: frames per second.
        motion: what a speed of one body extent per second adds.
        overlap: what being covered whole by another person's box adds.

    Returns:
        (T, 17) per person, 1 or more.
    """
    boxes = [
        boxes_of(joints[None], there[None])[0] for joints, there in zip(people, seen, strict=True)
    ]
    found = []
    for index, (joints, there) in enumerate(zip(people, seen, strict=True)):
        extent = max(body_extent(joints.astype(np.float32), there), 1.0)
        step = np.linalg.norm(np.diff(joints, axis=0, prepend=joints[:1]), axis=-1)
        speed = _smooth(step, max(1, round(fps * _SMOOTH_S))) * fps / extent
        others = [box for other, box in enumerate(boxes) if other != index]
        covered = np.max([_covered(boxes[index], box) for box in others], axis=0, initial=0.0)
        found.append(1.0 + motion * speed + overlap * np.broadcast_to(covered, speed.T.shape).T)
    return found


def _covered(box: Floats, other: Floats) -> Floats:
    """Return (T,) which share of `box` lies under `other`."""
    sides = np.minimum(box[:, 2:], other[:, 2:]) - np.maximum(box[:, :2], other[:, :2])
    area = np.maximum((box[:, 2:] - box[:, :2]).prod(1), 1.0)
    return np.asarray(np.maximum(sides, 0.0).prod(1) / area)


def _smooth(values: Floats, window: int) -> Floats:
    """Return the running mean over time of (T, 17) values."""
    kernel = np.ones(window) / window
    return np.stack([np.convolve(column, kernel, "same") for column in values.T], axis=1)


def _disturb(
    uv: Floats,
    seen: NDArray[np.bool_],
    worse: Floats,
    fps: float,
    how: Strained,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return (T, 17, 2) disturbed pixels and (T, 17) scores, 0 where missing; see `strain`."""
    frames = len(uv)
    extent = body_extent(uv.astype(np.float32), seen)
    level = rng.uniform(0.1, 1.0) * how.noise * _LIMB_NOISE
    fresh = rng.normal(0, 1, (2, *uv.shape))
    keep = 0.8
    for t in range(1, frames):
        fresh[0, t] = keep * fresh[0, t - 1] + np.sqrt(1 - keep**2) * fresh[0, t]
    noise = (fresh[0] + fresh[1]) / np.sqrt(2) * level[:, None]
    tail = np.where(rng.random((frames, JOINTS, 1)) < 0.06, 3.0, 1.0)
    moved = uv + noise * tail * extent * worse[..., None]
    for second in range(int(frames / fps) + 1):
        if rng.random() < rng.uniform(0, how.swap):
            begin = int(second * fps)
            part = slice(begin, begin + int(rng.integers(1, max(2, int(fps)))))
            moved[part] = moved[part][:, _MIRROR]
    score = np.clip(rng.normal(0.75, 0.15, (frames, JOINTS)), 0.15, 1.0) * seen
    score *= rng.random(score.shape) >= rng.uniform(0, how.lost_joint)
    score = score / (1.0 + how.fade * (worse - 1.0))
    lost = rng.uniform(0, how.lost_frame) * worse.mean(1)
    found = rng.random(frames) >= np.minimum(lost, _MOST_LOST)
    if rng.random() < how.gap:
        begin = int(rng.integers(frames))
        found[begin : begin + int(rng.uniform(0.2, 1.0) * fps)] = False
    return moved, score * found[:, None]
