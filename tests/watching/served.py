"""A reference and served windows of one made-up population: videos that differ, windows alike."""

from __future__ import annotations

import numpy as np

from vigil.config import DriftSection, ReferenceSection, RequestLogSection
from vigil.watching.features import Floats
from vigil.watching.record import Seen
from vigil.watching.reference import Reference, feature_of

CLASSES = ("normal", "assault", "faint")
LOG = RequestLogSection(folder="logs", max_bytes=10_000, keep=2, waiting=1000, rows=8)
DRIFT = DriftSection(
    warn=0.1, alarm=0.25, level=0.05, resamples=300, block_s=600.0, least=30, least_groups=8,
    sample=5, seed=0,
)  # fmt: skip
REFERENCE = ReferenceSection(inputs=("train",), answers=("val",), bins=6, least=10)
Values = dict[str, Floats]


def population(rng: np.random.Generator, videos: int, windows: int = 12) -> Values:
    """Draw windows of videos; persons, sureness and classes cling to their video."""
    n = videos * windows
    video = np.repeat(np.arange(videos), windows)
    sure = rng.normal(0.8, 0.03, videos)[video] + rng.normal(0, 0.02, n)
    persons = 1 + rng.poisson(rng.uniform(0.5, 2.5, videos)[video])
    shares = rng.dirichlet([6, 2, 2], videos)[video]
    top = (rng.random((n, 1)) > shares.cumsum(1)).sum(1)
    confidence = rng.uniform(0.25, 0.5, videos)[video] + rng.uniform(0.1, 0.5, n)
    values = {"keypoint_confidence": sure, "persons": persons, "class": top, "video": video,
              "confidence": confidence}  # fmt: skip
    return {name: found.astype(np.float64) for name, found in values.items()}


def reference(values: Values) -> Reference:
    """Return what the project would have written of such training data."""
    videos = values["video"].astype(np.int64)
    found = {
        name: feature_of(name, values[name], videos, REFERENCE, CLASSES)
        for name in values if name != "video"
    }  # fmt: skip
    return Reference(
        model="protogcn", classes=CLASSES, data_sha256="", network_sha256="", centroid=(),
        rows=found, clips=found,
    )  # fmt: skip


def seen(values: Values) -> list[tuple[float, str, Seen]]:
    """Return such windows as logs tell of them, each video of a source of its own."""
    told = []
    for row, video in enumerate(values["video"].astype(int)):
        top, best = int(values["class"][row]), float(values["confidence"][row])
        p = np.full(3, (1 - best) / 2)
        p[top] = best
        features = {name: float(values[name][row]) for name in ("keypoint_confidence", "persons")}
        one = Seen(by="protogcn", top=CLASSES[top], confidence=min(best, 1.0),
                   p=tuple(np.clip(p, 0, 1).tolist()), features=features)  # fmt: skip
        told.append((1000.0 * video, f"camera {video}", one))
    return told
