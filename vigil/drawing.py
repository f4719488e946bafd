"""How people are drawn: one color per person, limbs between the joints that were found."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
LIMBS = ((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7),
         (7, 9), (6, 8), (8, 10), (0, 1), (0, 2), (1, 3), (2, 4))  # fmt: skip
PALETTE: tuple[Color, ...] = ((94, 201, 255), (255, 190, 92), (140, 232, 140), (240, 140, 220),
                              (255, 240, 120), (170, 160, 255))  # fmt: skip
WHITE: Color = (245, 245, 245)


def color_of(person: int) -> Color:
    """Return the RGB color of the person with this track id or place."""
    return PALETTE[person % len(PALETTE)]


def draw_skeleton(
    picture: NDArray[np.uint8],
    xy: NDArray[np.floating[Any]],
    color: Color,
    width: int = 2,
    radius: int = 2,
) -> None:
    """Draw one person's joints, and limbs where the joints are COCO's 17.

    Args:
        picture: (H, W, 3) RGB, drawn on.
        xy: (V, 2) pixels of `picture`; NaN where a joint is missing.
        color: RGB of the limbs.
        width: of the limbs in pixels.
        radius: of the white dot that a joint is, in pixels.
    """
    points = [None if np.isnan(point).any() else tuple(np.round(point).astype(int)) for point in xy]
    for a, b in LIMBS if len(points) == 17 else ():
        if points[a] is not None and points[b] is not None:
            cv2.line(picture, points[a], points[b], color, width, cv2.LINE_AA)
    for point in points:
        if point is not None:
            cv2.circle(picture, point, radius, WHITE, -1, cv2.LINE_AA)
