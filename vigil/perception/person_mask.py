"""A person's pixels in the rectangle they cover, and what is kept of a network's raw mask.

Knows: when a mask counts as lost, how far it may reach and how it is grown. Does not know: who
drew it. A crowd in a large frame stays small in memory, since no mask is as large as the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Source = Literal["sam2", "detector", "box"]

REACH = 0.15  # a mask may pass its box by this share of the box's mean side: hands, hair, shoes
LOST = 0.02  # a mask that covers no more than this of its box is lost


@dataclass(frozen=True, slots=True)
class PersonMask:
    """One person's pixels in one frame.

    Attributes:
        left: where `pixels` begins in the frame, columns from the left.
        top: where it begins, rows from the top.
        pixels: (h, w) bool, wholly inside the frame.
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

        columns = np.zeros((width, height), dtype=np.uint8)  # COCO's runs go down the columns
        rows, across = self.pixels.shape
        columns[self.left : self.left + across, self.top : self.top + rows] = self.pixels.T
        counts: bytes = coco.encode(columns.T)["counts"]
        return counts


def finish(
    raw: NDArray[np.bool_] | None,
    box: NDArray[np.float32],
    frame_size: tuple[int, int],
    source: Source,
    dilate_px: int,
) -> PersonMask:
    """Turn a network's raw mask into what is kept of it.

    It is cut where it runs far beyond its box, replaced by the box when next to nothing of it is
    left there, and grown.

    Args:
        raw: (H, W) bool, or None where the network drew nothing.
        box: (4,) xyxy pixels of the person.
        frame_size: (H, W).
        source: who drew it.
        dilate_px: pixels by which it grows on every side.
    """
    reach = REACH * float(box[2] - box[0] + box[3] - box[1]) / 2
    left, top, right, bottom = around(box, reach + dilate_px, frame_size)
    pixels = np.zeros((bottom - top, right - left), dtype=np.uint8)
    if raw is not None:
        x1, y1, x2, y2 = around(box, reach, frame_size)
        pixels[y1 - top : y2 - top, x1 - left : x2 - left] = raw[y1:y2, x1:x2]
    x1, y1, x2, y2 = around(box, 0, frame_size)
    inside = pixels[y1 - top : y2 - top, x1 - left : x2 - left]
    lost = bool(inside.sum() <= LOST * inside.size)
    if lost:
        pixels[:] = 0
        inside[:] = 1
    if dilate_px:
        disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * dilate_px + 1,) * 2)
        pixels = np.asarray(cv2.dilate(pixels, disk), dtype=np.uint8)
    return PersonMask(left, top, pixels.astype(np.bool_), "box" if lost else source)


def around(
    box: NDArray[np.float32], grow: float, frame_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return a box, grown on every side, as whole pixels of the frame; never empty.

    Args:
        box: (4,) xyxy pixels.
        grow: pixels to add on every side.
        frame_size: (H, W).

    Returns:
        left, top, right, bottom; the last two are one past the last pixel.
    """
    height, width = frame_size
    left = min(max(int(np.floor(box[0] - grow)), 0), width - 1)
    top = min(max(int(np.floor(box[1] - grow)), 0), height - 1)
    right = min(max(int(np.ceil(box[2] + grow)), left + 1), width)
    bottom = min(max(int(np.ceil(box[3] + grow)), top + 1), height)
    return left, top, right, bottom


def extent_iou(mask: NDArray[np.bool_], box: NDArray[np.float32]) -> float:
    """Return the IoU of a mask's bounding box with a (4,) xyxy box; 0 for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return 0.0
    extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    low, high = np.maximum(extent[:2], box[:2]), np.minimum(extent[2:], box[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(extent[2:] - extent[:2]) + np.prod(box[2:] - box[:2]))
    return shared / (areas - shared)
