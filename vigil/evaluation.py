"""How good a recognizer is: metrics with 95 % intervals, baselines on the same clips, a report.

Accuracy, recall and precision of a class are shares of clips and carry Wilson's score interval.
Means over classes, F1 and AUC carry a percentile bootstrap interval that resamples whole videos,
because windows of one video overlap and resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil import environment, motion_baseline
from vigil.config import Config, DatasetSection, EvaluateSection
from vigil.dataset import select, tensors
from vigil.errors import InputError
from vigil.splits import split_name

_Z = 1.959963984540054  # two-sided 95 %
_BATCH = 32

Metric = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a classifier said of N clips, and the truth.

    Attributes:
        labels: (N,) int64 true class indices.
        probabilities: (N, classes) floating, rows summing to 1.
        videos: N video ids, the unit of resampling.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]
    videos: Sequence[str]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) most probable class."""
        return np.asarray(self.probabilities.argmax(1), np.int64)


def predict(
    folder: Path, rows: Sequence[dict[str, Any]], dataset: DatasetSection
) -> NDArray[np.float32]:
    """Run the trained recognizer in `folder` over annotations, prepared as they are served.

    Args:
        folder: a model's folder, see `vigil.models.store`.
        rows: N annotations.
        dataset: clip length, persons and sampling.

    Returns:
        (N, classes) float32 probabilities.

    Raises:
        InputError: no annotation.
        ModelError: the folder holds no trained recognizer.
    """
    if not rows:
        raise InputError("evaluate: expected at least one clip, got none")
    import torch

    from vigil.models import store

    recognizer, _ = store.load(folder)
    graph = recognizer.inference_graph()
    keypoints, sizes, _ = tensors(rows, dataset)
    answers = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            batch = slice(start, start + _BATCH)
            inputs = torch.from_numpy(keypoints[batch]), torch.from_numpy(sizes[batch])
            answers.append(graph(*inputs)[0].numpy())
    return np.concatenate(answers)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927); (0, 1) for none."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, _Z**2 / count
    center = (share + square / 2) / (1 + square)
    half = _Z * np.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def auc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; NaN where a class is absent.

    Args:
        scores: (N,) higher means positive.
        positive: (N,) truth.
    """
    from scipy.stats import rankdata

    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return float("nan")
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - count * (count + 1) / 2) / (count * others))


def confusion(scores: Scores, classes: int) -> NDArray[np.int64]:
    """Return (classes, classes) counts: row true class, column predicted class."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (scores.labels, scores.predicted), 1)
    return matrix


def measure(
    scores: Scores, classes: Sequence[str], normal: str, params: EvaluateSection
) -> dict[str, Metric]:
    """Compute every metric with its 95 % interval.

    Args:
        scores: predictions and truth of at least one clip.
        classes: class names in label order.
        normal: the class that is not an event; `auc` is of any event against it.
        params: number and seed of the resamples.

    Returns:
        Per metric `value`, `low`, `high`, `n` (what the share or mean is over) and `interval`
        (`wilson`, or `bootstrap over videos`). A metric whose class is absent is left out.
    """
    matrix = confusion(scores, len(classes))
    metrics = {"accuracy": _share(int(matrix.trace()), int(matrix.sum()))}
    for index, name in enumerate(classes):
        if matrix[index].sum():
            metrics[f"recall_{name}"] = _share(matrix[index, index], matrix[index].sum())
        if matrix[:, index].sum():
            metrics[f"precision_{name}"] = _share(matrix[index, index], matrix[:, index].sum())
    values = _statistics(scores, classes, normal)
    resampled = [_statistics(part, classes, normal) for part in _resamples(scores, params)]
    for name, value in values.items():
        draws = np.array([draw.get(name, np.nan) for draw in resampled])
        draws = draws[np.isfinite(draws)]
        if not np.isfinite(value) or not len(draws):
            continue
        low, high = np.percentile(draws, [2.5, 97.5])
        metrics[name] = {"value": value, "low": min(float(low), value),
                         "high": max(float(high), value), "n": len(scores.labels),
                         "interval": "bootstrap over videos"}  # fmt: skip
    return metrics


def _share(hits: int, count: int) -> Metric:
    low, high = wilson(int(hits), int(count))
    return {"value": int(hits) / int(count), "low": low, "high": high, "n": int(count),
            "interval": "wilson"}  # fmt: skip


def _statistics(scores: Scores, classes: Sequence[str], normal: str) -> dict[str, float]:
    """Compute the metrics that are no plain shares; NaN where a class is absent."""
    matrix = confusion(scores, len(classes))
    hits = matrix.diagonal().astype(float)
    actual, named = matrix.sum(1), matrix.sum(0)
    there = actual > 0
    recall = hits / np.maximum(actual, 1)
    precision = hits / np.maximum(named, 1)
    f1 = 2 * hits / np.maximum(actual + named, 1)
    event = 1.0 - scores.probabilities[:, list(classes).index(normal)]
    values = {
        "macro_precision": float(precision[there].mean()),
        "macro_recall": float(recall[there].mean()),
        "macro_f1": float(f1[there].mean()),
        "auc": auc(event, scores.labels != list(classes).index(normal)),
    }
    for index, name in enumerate(classes):
        values[f"f1_{name}"] = float(f1[index]) if there[index] else float("nan")
        if len(classes) > 2:
            truth = scores.labels == index
            values[f"auc_{name}"] = auc(scores.probabilities[:, index], truth)
    return values


def _resamples(scores: Scores, params: EvaluateSection) -> list[Scores]:
    """Draw the videos with replacement, as often as `params.bootstrap` says."""
    videos = np.array(scores.videos)
    names = np.unique(videos)
    members = [np.flatnonzero(videos == name) for name in names]
    rng = np.random.default_rng(params.seed)
    parts = []
    for _ in range(params.bootstrap):
        rows = np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])
        parts.append(Scores(scores.labels[rows], scores.probabilities[rows], videos[rows]))
    return parts


def majority(training: Sequence[int], count: int, classes: int) -> NDArray[np.float64]:
    """Return (count, classes) probabilities of always answering the class shares of `training`."""
    shares = np.bincount(np.asarray(training, np.int64), minlength=classes) / len(training)
    return np.tile(shares, (count, 1))


def judge(
    folders: Sequence[tuple[Path, int | None]],
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    config: Config,
) -> tuple[Scores, dict[str, NDArray[np.float64]]]:
    """Let a recognizer and the baselines judge the same test clips.

    Args:
        folders: trained models with the fold each was trained for; None is the plain split.
        splits: clip ids of every split.
        rows: all annotations.
        config: classes and the section `dataset`.

    Returns:
        The recognizer's scores pooled over `folders`, and each baseline's probabilities in the
        same order; the baselines learn from the train and val clips.
    """
    classes = len(config.classes)
    tests: list[dict[str, Any]] = []
    found: dict[str, list[NDArray[Any]]] = {"model": [], "majority": [], "motion": []}
    for folder, fold in folders:
        test = select(splits, rows, split_name("test", fold))
        known = [row for part in ("train", "val")
                 for row in select(splits, rows, split_name(part, fold))]  # fmt: skip
        found["model"].append(predict(folder, test, config.dataset))
        found["majority"].append(majority([r["label"] for r in known], len(test), classes))
        found["motion"].append(motion_baseline.fit_predict(known, test, classes))
        tests += test
    labels = np.array([row["label"] for row in tests], np.int64)
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    scores = Scores(labels, joined.pop("model"), [row["video_id"] for row in tests])
    return scores, joined


def report(
    model: str,
    split: str,
    scores: Scores,
    baselines: Mapping[str, NDArray[np.float64]],
    config: Config,
) -> dict[str, Any]:
    """Gather what `reports/<model>.json` holds.

    Args:
        model: the recognizer's name.
        split: which clips, in words a person understands.
        scores: its predictions.
        baselines: (N, classes) probabilities of other classifiers on the same clips, by name.
        config: classes and the section `evaluate`.

    Returns:
        A JSON-ready mapping: model, split, n, n_videos, classes, metrics, confusion_matrix (rows
        true, columns predicted), baselines (their metrics), environment.
    """
    classes, normal, params = config.classes, config.normal_class, config.evaluate
    others = {
        name: measure(Scores(scores.labels, values, scores.videos), classes, normal, params)
        for name, values in baselines.items()
    }
    return {
        "model": model,
        "split": split,
        "n": len(scores.labels),
        "n_videos": len(set(scores.videos)),
        "classes": list(classes),
        "metrics": measure(scores, classes, normal, params),
        "confusion_matrix": confusion(scores, len(classes)).tolist(),
        "baselines": others,
        "environment": environment.describe(),
    }
