"""The baseline every recognizer is compared with: simple motion statistics and a linear model.

How fast joints move in body extents per second, how near the two leading persons are, and how a
body's shape changes. A network that does not beat it has learned nothing that a ruler cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.sampling import body_extent

FEATURES = (
    "mean_speed",
    "peak_speed",
    "mean_speed_other",
    "peak_speed_other",
    "nearest",
    "mean_distance",
    "fall",
    "flattest",
)
_ALONE = 5.0  # body extents; the distance written where there is no second person


def features(row: Mapping[str, Any]) -> NDArray[np.float64]:
    """Measure one annotation.

    Args:
        row: an annotation of `vigil.dataset`; `duration_s` gives the speed its unit (1 s where it
            is absent).

    Returns:
        (8,) float64, see `FEATURES`: mean and 95th percentile of joint speed of the faster and the
        slower of the two leading persons in body extents per second; smallest and mean distance of
        their centers in body extents; largest descent of a center and largest width over height.
    """
    joints = np.asarray(row["keypoint"], np.float64)[:2]
    seen = np.asarray(row["keypoint_score"])[:2] > 0
    frame_s = float(row.get("duration_s", 1.0)) / max(int(row["total_frames"]), 1)
    people = [_person(j, s, frame_s) for j, s in zip(joints, seen, strict=True) if s.any()]
    people.sort(key=lambda person: -person[0])
    speeds = [person[:2] for person in people] + [(0.0, 0.0)] * (2 - len(people))
    distance = _distances(joints, seen)
    fall = max((person[2] for person in people), default=0.0)
    flattest = max((person[3] for person in people), default=0.0)
    return np.array([*speeds[0], *speeds[1], distance.min(), distance.mean(), fall, flattest])


def _person(
    joints: NDArray[np.float64], seen: NDArray[np.bool_], frame_s: float
) -> tuple[float, float, float, float]:
    """Return mean and peak speed, descent and largest width over height of one person."""
    extent = max(body_extent(joints.astype(np.float32), seen), 1.0)
    both = seen[1:] & seen[:-1]
    speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1)[both] / extent / max(frame_s, 1e-6)
    speed = speed if len(speed) else np.zeros(1)
    mean, peak = float(speed.mean()), float(np.percentile(speed, 95))
    center, low, high = _shape(joints, seen)
    width, height = (high - low).T
    descent = float(center[:, 1].max() - center[0, 1]) / extent
    return mean, peak, descent, float(np.max(width / np.maximum(height, 1.0)))


def _shape(
    joints: NDArray[np.float64], seen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return center and bounds (f, 2) of the joints in the f frames that show any."""
    frames = seen.any(-1)
    mask = seen[frames][..., None]
    low = np.where(mask, joints[frames], np.inf).min(1)
    high = np.where(mask, joints[frames], -np.inf).max(1)
    return (low + high) / 2, low, high


def _distances(joints: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the distances of two persons' centers in body extents, in frames that show both."""
    alone = np.array([_ALONE])
    if len(joints) < 2:
        return alone
    frames = seen.any(-1).all(0)
    if not frames.any():
        return alone
    first, second = (_shape(j[frames], s[frames])[0] for j, s in zip(joints, seen, strict=True))
    extents = [body_extent(j.astype(np.float32), s) for j, s in zip(joints, seen, strict=True)]
    gap = np.linalg.norm(first - second, axis=-1) / max(float(np.mean(extents)), 1.0)
    return np.asarray(np.minimum(gap, _ALONE), np.float64)


def fit_predict(
    training: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]], classes: int
) -> NDArray[np.float64]:
    """Fit a logistic regression on the statistics of `training` and judge `test`.

    Args:
        training: annotations with labels.
        test: annotations.
        classes: number of classes.

    Returns:
        (N, classes) probabilities; a class absent from `training` has 0.

    Raises:
        InputError: fewer than two classes in `training`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array([row["label"] for row in training])
    if len(np.unique(labels)) < 2:
        raise InputError("motion baseline: expected at least two classes to learn from, got one")
    model = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced")
    )
    model.fit(np.stack([features(row) for row in training]), labels)
    found = model.predict_proba(np.stack([features(row) for row in test]))
    probabilities = np.zeros((len(test), classes))
    probabilities[:, model.classes_] = found
    return probabilities
