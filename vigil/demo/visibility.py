"""Who of a scene is in the picture, how large, and whose joints somebody nearer hides.

Geometry alone: nothing is drawn, and who is found is another question.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_JOINTS: Final = 4  # fewer in the picture, and no network finds the person


def in_picture(uv: Floats, depth: Floats, size: tuple[int, int]) -> tuple[Floats, Bools]:
    """Return joints, those far outside the picture moved near to it, and which are in it.

    Args:
        uv: (A, T, 17, 2) true pixels.
        depth: (A, T, 17) meters along the view; negative behind the camera.
        size: width and height of the picture.

    Returns:
        (A, T, 17, 2) pixels, and (A, T, 17).
    """
    limit = np.array(size)
    seen = (depth > 0.2) & (uv >= 0).all(-1) & (uv < limit).all(-1)
    return np.clip(uv, -0.1 * limit, 1.1 * limit), seen  # nobody guesses joints far outside


def boxes_of(uv: Floats, seen: Bools) -> Floats:
    """Return (A, T, 4) xyxy around the joints in the picture; empty boxes where there is none."""
    low = np.where(seen[..., None], uv, np.inf).min(2)
    high = np.where(seen[..., None], uv, -np.inf).max(2)
    boxes = np.concatenate([low, high], axis=-1)
    return np.where(np.isfinite(boxes), boxes, 0.0)


def extent_of(boxes: Floats) -> Floats:
    """Return (A, T) larger sides of boxes, at least a pixel."""
    return np.asarray(np.maximum((boxes[..., 2:] - boxes[..., :2]).max(-1), 1.0), float)


def hidden_joints(uv: Floats, boxes: Floats, far: Floats) -> Bools:
    """Return (A, T, 17) joints that lie behind the middle of somebody nearer."""
    hidden = np.zeros(uv.shape[:3], bool)
    for front in range(len(uv)):
        width = boxes[front, :, 2] - boxes[front, :, 0]
        low = boxes[front, :, :2] + np.stack([0.1 * width, 0 * width], -1)
        high = boxes[front, :, 2:] - np.stack([0.1 * width, 0 * width], -1)
        inside = ((uv >= low[:, None]) & (uv <= high[:, None])).all(-1)
        hidden |= inside & (far > far[front] + 0.05)[..., None]
    return hidden
