"""Which parts of a frame SAM 2 looks at, and how they become its input.

A small network sees people better in a few nearly square parts of the frame than in all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_MARGIN = 0.12  # of the longer side of the boxes' union, on each side of a crop
_FREE_SIZE = 1.25  # crops up to this many times the input size lose no detail worth a second one


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the frame and the boxes it is looked at for.

    Attributes:
        region: left, top, right, bottom, whole pixels of the frame, right and bottom exclusive.
        members: indices of the boxes.
    """

    region: tuple[int, int, int, int]
    members: tuple[int, ...]


def plan_crops(
    boxes: NDArray[np.float32], height: int, width: int, size: int, max_crops: int
) -> list[Crop]:
    """Share the boxes out among few, nearly square parts of the frame.

    The two groups whose union is smallest are joined until there are at most `max_crops`, and
    beyond that while the union is about the network's input or smaller.

    Args:
        boxes: (N, 4) xyxy, pixels of the frame, N at least 1.
        height: of the frame, pixels.
        width: of the frame, pixels.
        size: the network's input, pixels.
        max_crops: at least 1.

    Returns:
        Crops that name each box once.
    """
    groups: list[tuple[NDArray[np.float64], tuple[int, ...]]]
    groups = [(box, (i,)) for i, box in enumerate(np.asarray(boxes, dtype=np.float64))]
    while len(groups) > 1:
        pairs = [(i, j) for j in range(len(groups)) for i in range(j)]
        unions = [_union(groups[i][0], groups[j][0]) for i, j in pairs]
        sides = [max(u[2] - u[0], u[3] - u[1]) for u in unions]
        best = int(np.argmin(sides))
        if len(groups) <= max_crops and sides[best] * (1 + 2 * _MARGIN) > size * _FREE_SIZE:
            break
        i, j = pairs[best]
        groups[i] = (unions[best], groups[i][1] + groups[j][1])
        del groups[j]
    return [Crop(square_region(union, height, width), members) for union, members in groups]


def square_region(
    box: NDArray[np.float64], height: int, width: int, margin: float = _MARGIN
) -> tuple[int, int, int, int]:
    """The square around a box with a margin, moved into the frame and cut where it is larger.

    Args:
        box: (4,) xyxy, pixels of the frame.
        height: of the frame, pixels.
        width: of the frame, pixels.
        margin: of the box's longer side, on each side.

    Returns:
        left, top, right, bottom, whole pixels, right and bottom exclusive.
    """
    side = max(box[2] - box[0], box[3] - box[1], 16.0) * (1 + 2 * margin)
    spans = []
    for low, high, limit in ((box[0], box[2], width), (box[1], box[3], height)):
        length = min(round(side), limit)
        start = min(max(round((low + high) / 2 - side / 2), 0), limit - length)
        spans.append((start, start + length))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def crop_input(
    rgb: NDArray[np.uint8], region: tuple[int, int, int, int], size: int
) -> torch.Tensor:
    """A part of the frame as the network's input, as sam2's own transform makes it.

    Args:
        rgb: (H, W, 3) uint8.
        region: left, top, right, bottom, whole pixels of the frame.
        size: the network's input, pixels; the part is stretched to size by size.

    Returns:
        (3, size, size) float32, normalized by ImageNet's mean and deviation.
    """
    import torch

    left, top, right, bottom = region
    part = torch.from_numpy(np.ascontiguousarray(rgb[top:bottom, left:right].transpose(2, 0, 1)))
    resized = torch.nn.functional.interpolate(
        part[None].float() / 255, (size, size), mode="bilinear", antialias=True
    )[0]
    return (resized - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]


def boxes_in_crop(
    boxes: NDArray[Any], region: tuple[int, int, int, int], size: int
) -> NDArray[np.float32]:
    """Boxes of the frame as boxes of the network's input.

    Args:
        boxes: (N, 4) xyxy, pixels of the frame.
        region: the crop, whole pixels of the frame.
        size: the network's input, pixels.

    Returns:
        (N, 4) float32 xyxy, pixels of the input.
    """
    left, top, right, bottom = region
    offset = np.array([left, top, left, top], dtype=np.float32)
    span = np.array([right - left, bottom - top] * 2, dtype=np.float32)
    return ((boxes - offset) * (size / span)).astype(np.float32)


def _union(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest box around two."""
    return np.concatenate([np.minimum(a[:2], b[:2]), np.maximum(a[2:], b[2:])])
