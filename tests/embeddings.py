"""Made-up videos with embeddings whose first axes are the classes, as a good CLIP sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.schema import NOBODY, Embeddings, Timeline

CLASSES = ("normal", "assault", "faint")
CLIP = "test/clip"
DIM = 8
FPS = 12.0

Who = tuple[int, int]
FRAME: Who = (NOBODY, NOBODY)


def timeline(video: str = "v", frames: int = 48) -> Timeline:
    return Timeline(video, 640, 360, np.arange(frames) / FPS)


def toward(label: int, strength: float = 0.9, seed: int = 0) -> NDArray[np.float16]:
    """Return a vector of length 1 that leans toward a class."""
    vector = np.random.default_rng(seed).normal(0, 0.02, DIM)
    vector[label] += strength
    vector[len(CLASSES)] += np.sqrt(1 - strength**2)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def embeddings(
    rows: Sequence[Mapping[Who, int]], video: str = "v", every: int = 3, clip: str = CLIP
) -> Embeddings:
    """Return the embeddings of a video that is looked at every `every` frames.

    Args:
        rows: what each looked-at frame shows: class by (track, other), see `FRAME`.
        video: its id.
        every: frames between looks.
        clip: name of the CLIP.
    """
    keys = [(i * every, who, label) for i, seen in enumerate(rows)
            for who, label in sorted(seen.items())]  # fmt: skip
    box = np.zeros(len(keys), np.float32)
    vectors = [
        toward(label, seed=100 * frame + 10 * who[0] + who[1] + 11) for frame, who, label in keys
    ]
    return Embeddings(
        video, 640, 360, clip,
        frame=np.array([frame for frame, _, _ in keys], np.int32),
        time_s=np.array([frame / FPS for frame, _, _ in keys]),
        track_id=np.array([who[0] for _, who, _ in keys], np.int32),
        other_id=np.array([who[1] for _, who, _ in keys], np.int32),
        x1=box, y1=box, x2=box + 1, y2=box + 1,
        embedding=np.array(vectors, np.float16).reshape(-1, DIM),
    )  # fmt: skip
