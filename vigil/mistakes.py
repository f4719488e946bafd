"""The worst mistakes as pictures: people look before they read.

Everything comes from the annotation file. A clip is a strip of moments side by side; its view is
the part of the frame in which its people move, on black, as no video is needed.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.drawing import WHITE, Color, color_of, draw_skeleton
from vigil.figures import save_png

MOMENTS = 5
_TILE = (168, 126)  # width and height of one moment in pixels
_GAP = 3
_MARGIN = 0.08
_BACKGROUND: Color = (14, 16, 20)
_OUTSIDE: Color = (38, 40, 46)
_COLUMNS = 2


def strip(row: Mapping[str, Any], max_persons: int) -> NDArray[np.uint8]:
    """Draw one clip at several moments, all persons, one color each.

    Args:
        row: an annotation of `vigil.dataset`.
        max_persons: persons that the recognizer was given; any further one is drawn thin.

    Returns:
        (126, 852, 3) RGB uint8: moments from the first to the last frame that shows anybody, each
        with its frame's number in the corner. Gray lies outside the video's frame.
    """
    joints = _joints(row)
    width, height = _TILE
    scale, origin = _view(joints, row["img_shape"])
    corners = ((np.array([[0, 0], row["img_shape"][::-1]]) - origin) * scale).round().astype(int)
    tiles = np.zeros((height, MOMENTS * (width + _GAP) - _GAP, 3), np.uint8)
    cv2.putText(tiles, "nobody found", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.45, WHITE, 1)
    for moment, frame in enumerate(_moments(joints)):
        tile = np.full((height, width, 3), _OUTSIDE, np.uint8)
        cv2.rectangle(tile, corners[0].tolist(), corners[1].tolist(), _BACKGROUND, -1)
        for person in reversed(range(len(joints))):
            line, points = 2 if person < max_persons else 1, joints[person, frame]
            draw_skeleton(tile, (points - origin) * scale, color_of(person), line, radius=1)
        cv2.putText(tile, str(frame), (3, height - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.32, WHITE, 1)
        tiles[:, moment * (width + _GAP) :][:, :width] = tile
    return tiles


def _moments(joints: NDArray[np.float64]) -> list[int]:
    """Choose frames evenly among those that show anybody; none of an empty clip."""
    shown = np.flatnonzero(np.isfinite(joints).any((0, 2, 3)))
    if not len(shown):
        return []
    return [int(shown[i]) for i in np.linspace(0, len(shown) - 1, MOMENTS).round().astype(int)]


def _joints(row: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return (M, n, V, 2) pixels, NaN where a joint is missing."""
    joints = np.array(row["keypoint"], np.float64)[..., :2]
    joints[np.asarray(row["keypoint_score"]) <= 0] = np.nan
    return joints


def _view(
    joints: NDArray[np.float64], img_shape: Sequence[int]
) -> tuple[float, NDArray[np.float64]]:
    """Return scale and upper left corner, in pixels of the frame, of what a tile shows."""
    found = joints[np.isfinite(joints).all(-1)]
    corners = np.array([[0, 0], img_shape[::-1]], np.float64)
    if len(found):
        corners = np.stack([found.min(0), found.max(0)])
    size = np.maximum((corners[1] - corners[0]) * (1 + 2 * _MARGIN), 1.0)
    scale = float((np.array(_TILE) / size).min())
    return scale, corners.mean(0) - np.array(_TILE) / scale / 2


def caption(mistake: Mapping[str, Any], number: int) -> str:
    """Return two lines: what was said and what is so; then which clip."""
    return (
        f"{number}. said {mistake['predicted']} {mistake['probability']:.0%}, "
        f"is {mistake['label']}\n{mistake['clip_id']}  ({mistake['video_id']})"
    )


def write_sheet(
    path: Path,
    mistakes: Sequence[Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    max_persons: int,
) -> None:
    """Write the contact sheet as PNG.

    Args:
        path: where to write.
        mistakes: the report's, the worst first; without any, the sheet says so.
        rows: annotations by clip id.
        max_persons: see `strip`.
    """
    lines = max(1, math.ceil(len(mistakes) / _COLUMNS))

    def draw(figure: Any) -> None:
        figure.set_facecolor("white")
        if not mistakes:
            figure.text(0.5, 0.5, "no mistake", ha="center", va="center")
            return
        grid = figure.subplots(lines, _COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, (axes, mistake) in enumerate(zip(grid.flat, mistakes, strict=False)):
            axes.imshow(strip(rows[mistake["clip_id"]], max_persons))
            axes.set_title(caption(mistake, place + 1), fontsize=8, loc="left", wrap=True)

    save_png(path, draw, (15, 1.55 * lines if mistakes else 1.0), 110)


def strip_uri(row: Mapping[str, Any], max_persons: int) -> str:
    """Return `strip` as the `data:` address of a PNG."""
    picture = cv2.cvtColor(strip(row, max_persons), cv2.COLOR_RGB2BGR)
    code = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
    return f"data:image/png;base64,{code}"
