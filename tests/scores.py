"""Made-up answers of a classifier with a chosen skill."""

from __future__ import annotations

import numpy as np

from vigil.evaluation import Scores

CLASSES = ("normal", "assault", "faint")


def scores(
    count: int = 60, skill: float = 2.0, seed: int = 0, per_video: int = 3, noise: int | None = None
) -> Scores:
    """Return scores of `count` clips; `noise` seeds the answers alone, for paired runs."""
    labels = np.random.default_rng(seed).integers(0, 3, count)
    rng = np.random.default_rng(seed + 1 if noise is None else noise)
    logits = rng.normal(size=(count, 3)) + skill * np.eye(3)[labels]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    videos = [f"v{i // per_video}" for i in range(count)]
    clips = [f"{video}@{i}" for i, video in enumerate(videos)]
    return Scores(labels, p, videos, clips, [f"hall{i // 15}" for i in range(count)])
