"""What `reports/<model>.json` holds, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil import environment
from vigil.config import Config
from vigil.evaluation.metrics import Metric, measure
from vigil.evaluation.scores import Scores, confusion

PER_CLASS = ("recall", "precision", "f1", "auc", "average_precision")
_ROLES = {
    "train": "the weights were learned from these clips",
    "val": "watched during training; never a fair test",
}


def report(
    model: str,
    split: str,
    scores: Scores,
    baselines: Mapping[str, NDArray[np.float64]],
    known: Mapping[str, Scores],
    config: Config,
) -> dict[str, Any]:
    """Gather what `reports/<model>.json` holds.

    Args:
        model: the recognizer's name.
        split: which clips, in words a person understands.
        scores: its predictions of clips that it has never seen.
        baselines: (N, classes) probabilities of other classifiers on the same clips, by name.
        known: its predictions of the clips that its training saw, by split.
        config: classes and the section `evaluate`.

    Returns:
        A JSON-ready mapping: model, split, n, n_videos, classes, metrics, confusion_matrix (rows
        true, columns predicted), baselines (their metrics), per_class and per_group (metrics of
        each), mistakes (the worst first), splits (the clips that training saw, with their `role`),
        environment.
    """
    whole = _whole(scores, config)
    return {
        "model": model,
        "split": split,
        **whole,
        "baselines": {
            name: _measure(replace(scores, probabilities=values), config)
            for name, values in baselines.items()
        },
        "per_class": per_class(whole["metrics"], scores, config.classes),
        "per_group": per_group(scores, config),
        "mistakes": mistakes(scores, config.classes, config.evaluate.mistakes),
        "splits": {
            name: {"role": _ROLES[name], **_whole(part, config)} for name, part in known.items()
        },
        "environment": environment.describe(),
    }


def _measure(scores: Scores, config: Config) -> dict[str, Metric]:
    return measure(scores, config.classes, config.normal_class, config.evaluate)


def _whole(scores: Scores, config: Config) -> dict[str, Any]:
    return {
        "n": len(scores.labels),
        "n_videos": len(set(scores.videos)),
        "classes": list(config.classes),
        "metrics": _measure(scores, config),
        "confusion_matrix": confusion(scores, len(config.classes)).tolist(),
    }


def per_class(
    metrics: Mapping[str, Metric], scores: Scores, classes: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return `n` (labeled clips) and the metrics of every class that are defined."""
    return {
        name: {
            "n": int((scores.labels == index).sum()),
            **{
                kind: metrics[f"{kind}_{name}"] for kind in PER_CLASS if f"{kind}_{name}" in metrics
            },
        }
        for index, name in enumerate(classes)
    }


def per_group(scores: Scores, config: Config) -> dict[str, dict[str, Any]]:
    """Return what each scene or session gives, the least accurate first.

    Returns:
        By group `n`, `n_videos`, `counts` (labeled clips per class), and the metrics `accuracy`,
        `auc` and `macro_f1` that are defined.
    """
    found: dict[str, dict[str, Any]] = {}
    for group in sorted(set(scores.groups)):
        part = scores.take(np.flatnonzero(np.array(scores.groups) == group))
        metrics = _measure(part, config)
        counts = np.bincount(part.labels, minlength=len(config.classes))
        found[group] = {
            "n": len(part.labels),
            "n_videos": len(set(part.videos)),
            "counts": dict(zip(config.classes, counts.tolist(), strict=True)),
            **{name: metrics[name] for name in ("accuracy", "macro_f1", "auc") if name in metrics},
        }
    return dict(sorted(found.items(), key=lambda item: item[1]["accuracy"]["value"]))


def worst(scores: Scores, count: int) -> NDArray[np.int64]:
    """Return the positions of the clips judged wrongly, least probable true class first."""
    wrong = np.flatnonzero(scores.predicted != scores.labels)
    given = scores.probabilities[wrong, scores.labels[wrong]]
    return wrong[np.argsort(given, kind="stable")][:count]


def mistakes(scores: Scores, classes: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Describe the worst `count` mistakes: clip, video, group, label, prediction, probability."""
    return [
        {
            "clip_id": scores.clips[i],
            "video_id": scores.videos[i],
            "group": scores.groups[i],
            "label": classes[scores.labels[i]],
            "predicted": classes[scores.predicted[i]],
            "probability": float(scores.probabilities[i].max()),
        }
        for i in worst(scores, count)
    ]
