"""Square crops of people, of pairs of people and of whole frames, as CLIP wants to see them.

Knows: boxes and pixels. Does not know: CLIP, tracks or videos.
"""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

Boxes = NDArray[np.float32]
Image = NDArray[np.uint8]
Fill = Literal["gray", "edge"]

GRAY: Final = (122, 116, 104)  # CLIP's mean color: padding that the network does not notice


def square(boxes: Boxes, pad: float, min_side: float) -> Boxes:
    """Grow boxes to squares about their centers.

    Args:
        boxes: (N, 4) xyxy in pixels.
        pad: what is added on each side of the longer edge, as a share of it.
        min_side: least side of a square in pixels.

    Returns:
        (N, 4) float32 xyxy, possibly reaching outside the frame.

    Raises:
        InputError: a coordinate is not finite, or a box ends before it begins.
    """
    _check(boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    half = np.maximum(sides.max(axis=1, initial=0) * (1 + 2 * pad), min_side)[:, None] / 2
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.asarray(np.concatenate([center - half, center + half], axis=1), dtype=np.float32)


def near_pairs(boxes: Boxes, distance: float) -> NDArray[np.int64]:
    """Return the pairs of boxes that are close to each other.

    Args:
        boxes: (N, 4) xyxy in pixels.
        distance: widest gap between two boxes, in mean heights of the two; 0: they touch.

    Returns:
        (P, 2) indices, the smaller first, sorted.
    """
    _check(boxes)
    one, two = np.triu_indices(len(boxes), k=1)
    low = np.maximum(boxes[one, :2], boxes[two, :2])
    high = np.minimum(boxes[one, 2:], boxes[two, 2:])
    gap = np.hypot(*np.maximum(low - high, 0).T) if len(one) else np.zeros(0)
    height = boxes[:, 3] - boxes[:, 1]
    close = gap <= distance * (height[one] + height[two]) / 2
    return np.stack([one[close], two[close]], axis=1)


def union(boxes: Boxes, pairs: NDArray[np.int64]) -> Boxes:
    """Return the (P, 4) boxes around both members of each pair."""
    one, two = boxes[pairs[:, 0]], boxes[pairs[:, 1]]
    low, high = np.minimum(one[:, :2], two[:, :2]), np.maximum(one[:, 2:], two[:, 2:])
    return np.asarray(np.concatenate([low, high], axis=1), dtype=np.float32)


def cut(rgb: Image, box: NDArray[np.float32], size: int, fill: Fill) -> Image:
    """Cut a square out of an image and bring it to `size` pixels.

    Only what lies inside the image is resized (by area when it shrinks, bicubic when it grows), so
    that a huge box costs no memory; what lies outside is filled.

    Args:
        rgb: (H, W, 3) uint8.
        box: (4,) xyxy of a square in pixels of the image, possibly partly or wholly outside it.
        size: side of the result in pixels.
        fill: outside: CLIP's mean gray, or the image's border pixels repeated.

    Returns:
        (size, size, 3) uint8.

    Raises:
        InputError: a coordinate is not finite, or the box ends before it begins.
    """
    _check(box[None])
    height, width = rgb.shape[:2]
    limit = np.array([width, height], dtype=np.float64)
    origin, side = box[:2].astype(np.float64), max(float((box[2:] - box[:2]).max()), 1.0)
    low = np.clip(np.floor(origin), 0, limit - 1).astype(int)
    high = np.maximum(np.clip(np.ceil(origin + side), 0, limit).astype(int), low + 1)
    scale = size / side
    start = np.clip(np.round((low - origin) * scale), 0, size - 1).astype(int)
    stop = np.maximum(np.clip(np.round((high - origin) * scale), 0, size).astype(int), start + 1)
    inside = rgb[low[1] : high[1], low[0] : high[0]]
    wide, tall = (stop - start).tolist()
    shrinks = wide * tall < inside.shape[0] * inside.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    small = cv2.resize(inside, (wide, tall), interpolation=how)
    if (wide, tall) == (size, size):
        return np.asarray(small, dtype=np.uint8)
    if fill == "gray":
        canvas = np.full((size, size, 3), GRAY, dtype=np.uint8)
        if (origin < limit).all() and (origin + side > 0).all():
            canvas[start[1] : stop[1], start[0] : stop[0]] = small
        return canvas
    margins = (start[1], size - stop[1], start[0], size - stop[0])
    return np.asarray(cv2.copyMakeBorder(small, *margins, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _check(boxes: Boxes) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"crops: expected boxes (N, 4) xyxy, got {boxes.shape}")
    bad = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if bad.any():
        raise InputError(
            f"crops: expected finite boxes with x1 <= x2 and y1 <= y2, got {boxes[bad][0].tolist()}"
        )
