"""A person's pixels in the rectangle they cover, and what is kept of a network's raw mask.

Knows: when a mask counts as lost, how far it may reach and how it is grown. Does not know: who
drew it. A crowd in a large frame stays small in memory, since no mask is as large as the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Source = Literal["sam2", "detector", "box"]
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in whole pixels

REACH = 0.15  # a mask may pass its box by this share of the box's mean side: hands, hair, shoes
LOST = 0.02  # a mask that covers no more than this of its box is lost


@dataclass(frozen=True, slots=True)
class PersonMask:
    """One person's pixels in one frame.

    Attributes:
        left, top: where `pixels` lies in the frame.
        pixels: (h, w) bool, inside the frame.
        source: who drew it; `box` when the mask was lost and the person's box stands in.
    """

    left: int
    top: int
    pixels: NDArray[np.bool_]
    source: Source

    def paint(self, canvas: NDArray[np.uint8]) -> None:
        """Set this person's pixels of an (H, W) uint8 canvas to 255."""
        height, width = self.pixels.shape
        part = canvas[self.top : self.top + height, self.left : self.left + width]
        part[self.pixels] = 255

    def rle(self, height: int, width: int) -> bytes:
        """Return the compressed COCO run-length code of the mask in a (height, width) frame."""
        from pycocotools import mask as coco

        columns = np.zeros((width, height), dtype=np.uint8)  # COCO runs go down the columns
        rows, across = self.pixels.shape
        columns[self.left : self.left + across, self.top : self.top + rows] = self.pixels.T
        counts: bytes = coco.encode(columns.T)["counts"]
        return counts


def finish(
    masks: Sequence[NDArray[np.bool_] | None] | NDArray[np.bool_],
    boxes: Boxes,
    frame_size: tuple[int, ...],
    source: Source,
    dilate_px: int,
) -> list[PersonMask]:
    """Turn raw masks into what is kept of them.

    A mask is cut where it runs far beyond its box, replaced by the box when next to nothing of it
    is left, and grown by `dilate_px` pixels.

    Args:
        masks: N of (H, W) bool, or None for a person without one.
        boxes: (N, 4) xyxy pixels.
        frame_size: (H, W).
        source: who drew them.
        dilate_px: radius in pixels.
    """
    height, width = frame_size
    finished = []
    for mask, box in zip(masks, boxes, strict=True):
        reach = REACH * float(box[2] - box[0] + box[3] - box[1]) / 2
        left, top, right, bottom = _inside(box, reach + dilate_px, height, width)
        x1, y1, x2, y2 = _inside(box, reach, height, width)
        pixels = np.zeros((bottom - top, right - left), dtype=np.uint8)
        core = pixels[y1 - top : y2 - top, x1 - left : x2 - left]
        drawn: Source = source
        if mask is not None:
            core[:] = mask[y1:y2, x1:x2]
        within_x1, within_y1, within_x2, within_y2 = _inside(box, 0, height, width)
        within = pixels[within_y1 - top : within_y2 - top, within_x1 - left : within_x2 - left]
        if within.sum() <= LOST * within.size:
            pixels[:] = 0
            within[:] = 1
            drawn = "box"
        if dilate_px:
            shape = (2 * dilate_px + 1, 2 * dilate_px + 1)
            pixels = cv2.dilate(pixels, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, shape))
        finished.append(PersonMask(left, top, pixels.astype(np.bool_), drawn))
    return finished


def _inside(
    box: NDArray[np.float32], grow: float, height: int, width: int
) -> tuple[int, int, int, int]:
    """Return the box, grown on every side, as whole pixels inside the frame (never empty)."""
    left = min(max(int(np.floor(box[0] - grow)), 0), width - 1)
    top = min(max(int(np.floor(box[1] - grow)), 0), height - 1)
    right = min(max(int(np.ceil(box[2] + grow)), left + 1), width)
    bottom = min(max(int(np.ceil(box[3] + grow)), top + 1), height)
    return left, top, right, bottom


def _extent_iou(mask: NDArray[np.bool_], box: NDArray[np.float32]) -> float:
    """Return the IoU of a mask's bounding box with a box; 0 for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0.0
    extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    low, high = np.maximum(extent[:2], box[:2]), np.minimum(extent[2:], box[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(extent[2:] - extent[:2]) + np.prod(box[2:] - box[:2]))
    return shared / (areas - shared)


