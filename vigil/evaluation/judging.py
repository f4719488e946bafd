"""Recognizers and baselines judge clips, prepared as they are served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil import motion_baseline
from vigil.config import Config
from vigil.dataset import select
from vigil.ensemble import Trained, load
from vigil.errors import InputError
from vigil.evaluation.scores import Scores, scores_of
from vigil.splits import split_name


def predict(trained: Trained, rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """Run a trained recognizer or an ensemble over annotations, prepared as they are served.

    Args:
        trained: a model's folder, see `vigil.models.store`, or an ensemble's folders and weights.
        rows: N annotations.

    Returns:
        (N, classes) float32 probabilities.

    Raises:
        InputError: no annotation, or one that lacks what the recognizer reads.
        ModelError: a folder holds no trained recognizer, or members that do not fit together.
    """
    if not rows:
        raise InputError("evaluate: expected at least one clip, got none")
    from vigil.models.inference import answers

    graph, spec = load(trained)
    batch = spec.reads.batch(rows)
    probabilities, _ = answers(graph, batch)
    return spec.reads.settle(probabilities, batch.owner, len(rows))


def majority(training: Sequence[int], count: int, classes: int) -> NDArray[np.float64]:
    """Return (count, classes) probabilities of always answering the class shares of `training`."""
    shares = np.bincount(np.asarray(training, np.int64), minlength=classes) / len(training)
    return np.tile(shares, (count, 1))


def judge(
    models: Sequence[tuple[Trained, int | None]],
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    config: Config,
) -> tuple[Scores, dict[str, NDArray[np.float64]]]:
    """Let a recognizer and the baselines judge the same test clips.

    Args:
        models: trained models with the fold each was trained for; None is the plain split.
        splits: clip ids of every split.
        rows: all annotations.
        config: classes and the section `dataset`.

    Returns:
        The recognizer's scores pooled over `models`, and each baseline's probabilities in the same
        order; the baselines learn from the train and val clips.
    """
    classes = len(config.classes)
    tests: list[dict[str, Any]] = []
    found: dict[str, list[NDArray[Any]]] = {"model": [], "majority": [], "motion": []}
    for trained, fold in models:
        test = select(splits, rows, split_name("test", fold))
        known = [row for part in ("train", "val")
                 for row in select(splits, rows, split_name(part, fold))]  # fmt: skip
        found["model"].append(predict(trained, test))
        found["majority"].append(majority([r["label"] for r in known], len(test), classes))
        found["motion"].append(motion_baseline.fit_predict(known, test, classes))
        tests += test
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    return scores_of(tests, joined.pop("model")), joined


def seen(
    trained: Trained,
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    config: Config,
) -> dict[str, Scores]:
    """Let a recognizer judge the clips that its training saw: the distance to test is over-fitting.

    Returns:
        Scores of `train` and `val`, those of them that hold any clip.
    """
    parts = {name: select(splits, rows, name) for name in ("train", "val")}
    return {name: scores_of(part, predict(trained, part)) for name, part in parts.items() if part}
