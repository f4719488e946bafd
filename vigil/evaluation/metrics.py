"""Figures with 95 % intervals, and the curves behind them.

Every interval is a percentile bootstrap that resamples whole videos, because windows of one video
overlap and resemble each other. That of a share (accuracy, recall, precision) is widened to
Wilson's score interval where that is wider: a bootstrap of a share of 1 has no width at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection
from vigil.evaluation.scores import Scores
from vigil.evaluation.statistics import calibration, ones, resamples, statistics

_Z = 1.959963984540054  # two-sided 95 %
_BOUNDS = (2.5, 97.5)
BOOTSTRAP = "bootstrap over videos"
WIDER = "bootstrap over videos, or wilson where wider"

Metric = dict[str, Any]


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, 1927); (0, 1) for none."""
    if count == 0:
        return 0.0, 1.0
    share, square = hits / count, _Z**2 / count
    center = (share + square / 2) / (1 + square)
    half = _Z * np.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def measure(
    scores: Scores, classes: Sequence[str], normal: str, params: EvaluateSection
) -> dict[str, Metric]:
    """Compute every metric with its 95 % interval.

    Args:
        scores: predictions and truth of at least one clip.
        classes: class names in label order.
        normal: the class that is not an event.
        params: number and seed of the resamples, bins of the calibration error.

    Returns:
        Per metric of `statistics` its `value`, `low`, `high`, `n` (clips that the share or mean is
        over) and `interval` (how it was made). A metric that is not defined, its class being
        absent, is left out.
    """
    bins = params.calibration_bins
    values = statistics(scores, classes, normal, bins, ones(scores))
    drawn = [
        statistics(scores, classes, normal, bins, weights)
        for weights in resamples(scores.videos, params.bootstrap, params.seed)
    ]
    counts = _counts(scores, classes)
    metrics = {}
    for name, single in values.items():
        value, draws = float(single[0]), np.concatenate([part[name] for part in drawn])
        draws = draws[np.isfinite(draws)]
        if np.isfinite(value) and len(draws):
            metrics[name] = bounded(value, draws, counts.get(name), len(scores.labels))
    return metrics


def _counts(scores: Scores, classes: Sequence[str]) -> dict[str, int]:
    """Return the denominator of every metric that is a share of clips."""
    counts = {"accuracy": len(scores.labels)}
    for index, name in enumerate(classes):
        counts[f"recall_{name}"] = int((scores.labels == index).sum())
        counts[f"precision_{name}"] = int((scores.predicted == index).sum())
    return counts


def bounded(value: float, draws: NDArray[np.float64], count: int | None, clips: int) -> Metric:
    """Return a figure with its interval, see `measure`.

    Args:
        value: the figure.
        draws: its finite values under the resamples, at least one.
        count: denominator where it is a share; None for any other figure.
        clips: what any other figure is over.
    """
    low, high = (float(bound) for bound in np.percentile(draws, _BOUNDS))
    if count is not None:
        floor, ceiling = wilson(round(value * count), count)
        low, high = min(low, floor), max(high, ceiling)
    return {
        "value": value,
        "low": min(low, value),
        "high": max(high, value),
        "n": clips if count is None else count,
        "interval": BOOTSTRAP if count is None else WIDER,
    }


def roc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (points, 2) false and true positive rates from (0, 0) to (1, 1), ties joined."""
    hits, misses = _thresholds(scores, positive)
    rates = [misses / max((~positive).sum(), 1), hits / max(positive.sum(), 1)]
    return np.vstack([[0.0, 0.0], np.stack(rates, axis=1)])


def precision_recall(scores: NDArray[Any], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (points, 2) recall and precision, from the highest threshold to the lowest."""
    hits, misses = _thresholds(scores, positive)
    return np.stack([hits / max(positive.sum(), 1), hits / (hits + misses)], axis=1)


def _thresholds(
    scores: NDArray[Any], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count hits and false alarms at every distinct threshold, highest first."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    return np.cumsum(truth)[last], np.cumsum(~truth)[last]


def reliability(
    scores: Scores, params: EvaluateSection
) -> list[tuple[float, float, float, float, int]]:
    """Return confidence, accuracy, its 95 % interval and clips of every bin that holds any."""
    count = params.calibration_bins
    confidence, accuracy, held = (part[0] for part in calibration(scores, count, ones(scores)))
    drawn = np.concatenate([
        calibration(scores, count, weights)[1]
        for weights in resamples(scores.videos, params.bootstrap, params.seed)
    ])  # fmt: skip
    rows = []
    for i in np.flatnonzero(held):
        clips = int(held[i])
        metric = bounded(float(accuracy[i]), drawn[np.isfinite(drawn[:, i]), i], clips, clips)
        rows.append(
            (float(confidence[i]), float(accuracy[i]), metric["low"], metric["high"], clips)
        )
    return rows
