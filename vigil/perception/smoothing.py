"""Joints averaged over a moment: a pose network looks at each frame anew, so its joints tremble.

To a recognizer of blows and falls the trembling looks like movement. Every joint of a tracked
person becomes the mean of its neighbors in time, weighted by their scores and by a Gaussian of the
time between them. Knows: presentation times, so variable frame rates and lost frames are right.
Does not know: the network.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vigil.schema import JOINTS, Skeletons

REACH = 3.0  # deviations; frames further away weigh nothing


def smooth(skeletons: Skeletons, sigma_s: float) -> Skeletons:
    """Return the skeletons with every joint averaged over time within its track.

    Which joints are missing, and every score, stay as they are; a joint never moves to another
    person's track.

    Args:
        skeletons: of one video.
        sigma_s: deviation of the Gaussian in seconds; 0 changes nothing.
    """
    if sigma_s <= 0 or not len(skeletons.frame):
        return skeletons
    points = skeletons.xy.copy()
    for track in np.unique(skeletons.track_id):
        rows = np.flatnonzero(skeletons.track_id == track)
        rows = rows[np.argsort(skeletons.time_s[rows], kind="stable")]
        points[rows] = _average(
            skeletons.time_s[rows], skeletons.xy[rows], skeletons.scores[rows], sigma_s
        )
    return replace(skeletons, keypoints=points.reshape(-1, 2 * JOINTS))


def _average(
    time_s: NDArray[np.float64],
    points: NDArray[np.float32],
    scores: NDArray[np.float32],
    sigma_s: float,
) -> NDArray[np.float32]:
    """Average (n, 17, 2) points of one track over rising times; NaN stays NaN."""
    seen = (scores > 0) & np.isfinite(points).all(-1)
    weight = np.where(seen, scores, 0).astype(np.float64)
    value = np.where(seen[..., None], points, 0).astype(np.float64)
    total, mass = value * weight[..., None], weight.copy()
    for step in range(1, len(time_s)):
        apart = time_s[step:] - time_s[:-step]
        if apart.min() > REACH * sigma_s:
            break
        near = np.exp(-0.5 * (apart / sigma_s) ** 2) * (apart <= REACH * sigma_s)
        for here, there in (
            (slice(step, None), slice(None, -step)),
            (slice(None, -step), slice(step, None)),
        ):
            share = near[:, None] * weight[there]
            total[here] += share[..., None] * value[there]
            mass[here] += share
    mean = total / np.maximum(mass, 1e-12)[..., None]
    return np.where(seen[..., None], mean, points).astype(np.float32)
