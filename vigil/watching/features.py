"""What is told of an input without telling the input: a few numbers per row.

The same functions describe the training data and what is served, so that both mean the same.
Nothing here says where anybody is, or gives a pixel or a vector back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.feeds import Array

Floats = NDArray[np.float64]
Features = dict[str, Floats]  # (n,) by name, NaN where a row has nothing to tell

DIGITS = 4  # after the point, in logs and in references alike
COUNTS = ("persons",)  # whole numbers; all others are continuous


def of_feeds(feeds: Mapping[str, Array], centroid: Array | None = None) -> Features:
    """Describe the rows of a request to a recognizer.

    Args:
        feeds: arrays by input name; inputs other than `keypoints` and `embeddings` tell nothing.
        centroid: (D,) mean embedding of the training data, or None where unknown.

    Returns:
        `persons`, `keypoint_confidence` and `missing_joints` of (n, M, T, V, 3) keypoints;
        `embedding_change` and, with a centroid, `embedding_typicality` of (n, ..., D) embeddings.
    """
    found: Features = {}
    keypoints, embeddings = feeds.get("keypoints"), feeds.get("embeddings")
    if keypoints is not None and keypoints.ndim == 5 and keypoints.shape[4] == 3:
        found |= of_joints(keypoints[..., 2])
    if embeddings is not None and embeddings.ndim >= 3:
        found |= _of_embeddings(embeddings, centroid)
    return found


def of_joints(scores: Array) -> Features:
    """Describe (n, M, T, V) joint scores, 0 where a joint or person is missing."""
    seen = np.asarray(scores) > 0
    persons = seen.any(axis=(2, 3)).sum(1)
    joints = seen.sum(axis=(1, 2, 3))
    room = persons * scores.shape[2] * scores.shape[3]
    total = np.asarray(scores, np.float64).sum(axis=(1, 2, 3))
    return {
        "persons": persons.astype(np.float64),
        "keypoint_confidence": _ratio(total, joints),
        "missing_joints": 1.0 - _ratio(joints, room),
    }


def of_rows(rows: Sequence[Mapping[str, Any]]) -> Features:
    """Describe annotations as `of_joints` does, each with all its persons and frames."""
    parts = [of_joints(np.asarray(row["keypoint_score"])[None]) for row in rows]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def centroid_of(embeddings: Array) -> NDArray[np.float32]:
    """Return the mean (D,) of the (n, ..., D) embeddings that are not zeros."""
    flat = np.asarray(embeddings, np.float64).reshape(-1, embeddings.shape[-1])
    told = flat[np.abs(flat).sum(1) > 0]
    return np.asarray(told.mean(0) if len(told) else flat.sum(0), np.float32)


def _of_embeddings(embeddings: Array, centroid: Array | None) -> Features:
    """Describe how far vectors move within a row, and how near its mean is to the usual."""
    flat = np.asarray(embeddings, np.float64).reshape(len(embeddings), -1, embeddings.shape[-1])
    told = (np.abs(flat).sum(2) > 0).sum(1)
    mean = flat.sum(1) / np.maximum(told, 1)[:, None]
    length = np.where(told > 0, np.linalg.norm(mean, axis=1), np.nan)
    found = {"embedding_change": 1.0 - length}
    if centroid is not None and centroid.shape == mean.shape[1:]:
        usual = np.asarray(centroid, np.float64)
        found["embedding_typicality"] = _ratio(mean @ usual, length * np.linalg.norm(usual))
    return found


def _ratio(top: Array, bottom: Array) -> Floats:
    """Return `top / bottom`, NaN where the bottom is 0 or unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(bottom > 0, top / bottom, np.nan), np.float64)
