"""Persons of a clip as boxes, and boxes of other tools as persons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.schema import NOBODY, Clip, Tracks

_OVERLAP = 0.5  # intersection over union from which a box is a person's


def boxes_near(tracks: Tracks, clip: Clip, time_s: float) -> dict[int, NDArray[np.float32]]:
    """Return where each person of a clip is in the frame at the tracked moment nearest to `time_s`.

    Args:
        tracks: of the clip's video.
        clip: the window.
        time_s: seconds of the video.

    Returns:
        (4,) pixels xyxy by track id, cut at the frame's edges; without those outside of it.
    """
    inside = np.flatnonzero((tracks.frame >= clip.start_frame) & (tracks.frame < clip.end_frame))
    order = inside[np.argsort(np.abs(tracks.time_s[inside] - time_s), kind="stable")]
    found: dict[int, NDArray[np.float32]] = {}
    for row in order:
        found.setdefault(int(tracks.track_id[row]), tracks.xyxy[row])
    corner = np.array([tracks.width, tracks.height] * 2, np.float32)
    cut = {who: np.clip(box, 0, corner) for who, box in found.items()}
    return {who: box for who, box in cut.items() if (box[2:] > box[:2]).all()}


def whose(
    box: NDArray[np.float32], people: dict[int, NDArray[np.float32]], hint: int = NOBODY
) -> int | None:
    """Return which person a box shows; the one called `hint` where several boxes are alike."""
    best = max(
        ((round(overlap(box, other), 2), name == hint, -name) for name, other in people.items()),
        default=(0.0, False, 0),
    )
    return -best[2] if best[0] >= _OVERLAP else None


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the intersection over union of two xyxy boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0.0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (areas - shared) if areas > shared else 0.0
