"""Where a pose network errs more: on joints that move fast, and on people who cover each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.sampling import body_extent

Floats = NDArray[np.float64]
_SMOOTH_S = 0.3  # seconds that a fast movement spoils, motion blur and the tracker's lag included


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
    boxes = [_box(joints, there) for joints, there in zip(people, seen, strict=True)]
    found = []
    for index, (joints, there) in enumerate(zip(people, seen, strict=True)):
        extent = max(body_extent(joints.astype(np.float32), there), 1.0)
        step = np.linalg.norm(np.diff(joints, axis=0, prepend=joints[:1]), axis=-1)
        speed = _smooth(step, max(1, round(fps * _SMOOTH_S))) * fps / extent
        others = [box for other, box in enumerate(boxes) if other != index]
        covered = np.max([_covered(boxes[index], box) for box in others], axis=0, initial=0.0)
        found.append(1.0 + motion * speed + overlap * np.broadcast_to(covered, speed.T.shape).T)
    return found


def _box(joints: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Return (T, 4) xyxy around the joints that are seen; an empty box where none is."""
    low = np.where(seen[..., None], joints, np.inf).min(1)
    high = np.where(seen[..., None], joints, -np.inf).max(1)
    nobody = ~seen.any(1)
    low[nobody], high[nobody] = 0.0, 0.0
    return np.concatenate([low, high], axis=1)


def _covered(box: Floats, other: Floats) -> Floats:
    """Return (T,) which share of `box` lies under `other`."""
    sides = np.minimum(box[:, 2:], other[:, 2:]) - np.maximum(box[:, :2], other[:, :2])
    area = np.maximum((box[:, 2:] - box[:, :2]).prod(1), 1.0)
    return np.asarray(np.maximum(sides, 0.0).prod(1) / area)


def _smooth(values: Floats, window: int) -> Floats:
    """Return the running mean over time of (T, 17) values."""
    kernel = np.ones(window) / window
    return np.stack([np.convolve(column, kernel, "same") for column in values.T], axis=1)
