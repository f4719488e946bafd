"""Hand-made embeddings: two classes that differ by whether a track changes in the clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.skeletons import annotation
from vigil.dataset import ANNOTATIONS, EMBEDDINGS, write_annotations
from vigil.splits import Item, make_splits

DIM = 16
CLIP = "test/clip"
_MOMENTS_S = np.arange(0.1, 4.0, 0.25)


def unit(vector: NDArray[np.float64]) -> NDArray[np.float16]:
    return (vector / np.linalg.norm(vector, axis=-1, keepdims=True)).astype(np.float16)


def track(rng: np.random.Generator, acts: bool) -> NDArray[np.float16]:
    """Return (16, 16): a person standing all the time, or one who acts from the second second."""
    base = np.zeros((len(_MOMENTS_S), DIM))
    base[:, 0] = 1.0
    if acts:
        base[_MOMENTS_S >= 1.0] = np.eye(DIM)[1]
    return unit(base + rng.normal(0, 0.08, base.shape))


def bag(index: int, label: int, people: int = 3, told: bool = False) -> dict[str, Any]:
    """Return one clip's embeddings: `people` tracks and the frame; of label 1, one acts."""
    rng = np.random.default_rng(1000 + index)
    tracks = [(-1, -1), *((person, -1) for person in range(people))]
    acts = [False, *(bool(label) and person == index % max(people, 1) for person in range(people))]
    count = len(_MOMENTS_S)
    said = np.full((len(tracks), count), -1)
    if told:
        said[:] = np.outer(acts, _MOMENTS_S >= 1.0) * label
    return {
        "frame_dir": f"v{index // 2}@{index % 2}",
        "clip": CLIP,
        "start_s": 10.0,
        "end_s": 14.0,
        "token_time_s": np.tile(10.0 + _MOMENTS_S, len(tracks)),
        "token_track": np.repeat(np.array(tracks, np.int32), count, axis=0),
        "token_label": said.reshape(-1).astype(np.int16),
        "embedding": np.concatenate([track(rng, act) for act in acts]),
    }


def clip(index: int, label: int, **options: Any) -> dict[str, Any]:
    """Return one annotation with skeletons and embeddings."""
    return annotation(index, label) | bag(index, label, **options)


def write_bags(path: Path, count: int = 24, told: bool = False, **options: Any) -> None:
    """Write `annotations.pkl` at `path` and `embeddings.pkl` beside it."""
    assert path.name == ANNOTATIONS
    rows = [annotation(i, i % 2) for i in range(count)]
    items = [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]
    splits = make_splits(items, (0.5, 0.2, 0.3), 0, 0)
    write_annotations(path, splits, rows)
    bags = [bag(i, i % 2, told=told, **options) for i in range(count)]
    write_annotations(path.with_name(EMBEDDINGS), splits, bags)
