"""What a classifier said of clips, in memory and as the CSV that `stages.compare` reads."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.schema import atomic, read_csv

_COLUMNS = ("clip_id", "video_id", "group", "label")


@dataclass(frozen=True, eq=False)
class Scores:
    """What a classifier said of N clips, and the truth.

    Attributes:
        labels: (N,) int64 true class indices.
        probabilities: (N, classes) floating, rows summing to 1.
        videos: N video ids, the unit of resampling.
        clips: N clip ids.
        groups: N names of scenes or recording sessions.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]
    videos: Sequence[str]
    clips: Sequence[str]
    groups: Sequence[str]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) most probable class."""
        return np.asarray(self.probabilities.argmax(1), np.int64)

    def take(self, rows: NDArray[np.int64]) -> Scores:
        """Return the scores of the clips at the (n,) positions `rows`, in that order."""
        names = ([values[i] for i in rows] for values in (self.videos, self.clips, self.groups))
        return Scores(self.labels[rows], self.probabilities[rows], *names)


def scores_of(
    rows: Sequence[Mapping[str, Any]], probabilities: NDArray[np.floating[Any]]
) -> Scores:
    """Join N annotations with the (N, classes) probabilities that a classifier gave them."""
    return Scores(
        np.array([row["label"] for row in rows], np.int64),
        probabilities,
        [row["video_id"] for row in rows],
        [row["frame_dir"] for row in rows],
        [row["group"] for row in rows],
    )


def confusion(scores: Scores, classes: int) -> NDArray[np.int64]:
    """Return (classes, classes) counts: row true class, column predicted class."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (scores.labels, scores.predicted), 1)
    return matrix


def write_scores(path: Path, scores: Scores, classes: Sequence[str]) -> None:
    """Write one row per clip: clip_id, video_id, group, label, then `p_<class>` per class."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_COLUMNS, *(f"p_{name}" for name in classes)])
        names = zip(scores.clips, scores.videos, scores.groups, strict=True)
        for name, label, row in zip(names, scores.labels, scores.probabilities, strict=True):
            writer.writerow([*name, classes[label], *(f"{float(value):.9g}" for value in row)])


def read_scores(path: Path) -> tuple[Scores, tuple[str, ...]]:
    """Read what `write_scores` wrote.

    Returns:
        The scores, and the class names in label order.

    Raises:
        InputError: no such file, no row, or a value that is no class or probability.
    """
    rows = read_csv(path, _COLUMNS)
    columns = [name for name in rows[0] if name and name.startswith("p_")]
    classes = tuple(name.removeprefix("p_") for name in columns)
    try:
        labels = np.array([classes.index(row["label"]) for row in rows], np.int64)
        values = np.array([[float(row[name]) for name in columns] for row in rows], np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: expected classes and probabilities, got {error}") from error
    if not (np.isfinite(values).all() and np.allclose(values.sum(1), 1, atol=1e-3)):
        raise InputError(f"{path}: expected probabilities that sum to 1, got others")
    names = ([row[key] for row in rows] for key in ("video_id", "clip_id", "group"))
    return Scores(labels, values, *names), classes
