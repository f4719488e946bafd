"""Every figure of an evaluation for many weightings of the same clips at once.

A bootstrap resample of videos is a weight per clip: how often its video was drawn. One array of
shape (resamples, clips) thus holds them all, and no figure needs a loop over resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.evaluation.scores import Scores

Weights = NDArray[np.float64]
_CHUNK = 4_000_000  # values per array of weights: 32 MB


def ones(scores: Scores) -> Weights:
    """Return (1, N) weights of 1: the clips as they are."""
    return np.ones((1, len(scores.labels)))


def resamples(videos: Sequence[str], count: int, seed: int) -> Iterator[Weights]:
    """Draw whole videos with replacement, `count` times.

    Args:
        videos: N video ids.
        count: number of resamples.
        seed: random seed.

    Yields:
        (r, N) weights, r summing to `count`: how often the clip's video was drawn.
    """
    names, place = np.unique(np.asarray(videos), return_inverse=True)
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // len(place))
    shares = np.full(len(names), 1.0 / len(names))
    for start in range(0, count, rows):
        drawn = rng.multinomial(len(names), shares, size=min(rows, count - start))
        yield drawn[:, place].astype(np.float64)


def auc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; NaN where a class is absent.

    Args:
        scores: (N,) higher means positive.
        positive: (N,) truth.
    """
    return float(ranking(scores, positive, np.ones((1, len(positive))))[0][0])


def ranking(
    scores: NDArray[Any], positive: NDArray[np.bool_], weights: Weights
) -> tuple[Weights, Weights]:
    """Compute the area under the ROC curve and the average precision under each weighting.

    Ties count half in the first. The second is the sum of precision times the gain in recall over
    the distinct thresholds, without interpolation.

    Args:
        scores: (N,) higher means positive.
        positive: (N,) truth.
        weights: (R, N).

    Returns:
        AUC and average precision, (R,) each; NaN where a side has no weight.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    ordered, truth = weights[:, order], positive[order]
    hits = np.add.reduceat(ordered * truth, starts, axis=1)
    misses = np.add.reduceat(ordered * ~truth, starts, axis=1)
    found, false = hits.cumsum(1), misses.cumsum(1)
    total, others = found[:, -1:], false[:, -1:]
    area = (hits * (others - false + misses / 2)).sum(1)
    precision = _share(found, found + false, empty=0.0)
    return (
        _share(area, (total * others)[:, 0]),
        _share((hits * precision).sum(1), total[:, 0]),
    )


def bins(scores: Scores, count: int) -> NDArray[Any]:
    """Return the (N,) bin of each clip's confidence among `count` of equal width."""
    confidence = scores.probabilities.max(1)
    return np.asarray(np.minimum((confidence * count).astype(int), count - 1))


def calibration(scores: Scores, count: int, weights: Weights) -> tuple[Weights, Weights, Weights]:
    """Compare confidence with accuracy in bins of equal width (Guo et al., ICML 2017).

    Args:
        scores: predictions and truth of N clips.
        count: number of bins.
        weights: (R, N).

    Returns:
        Mean confidence, accuracy and weight of every bin, (R, count) each; the first two are NaN
        where a bin has no weight.
    """
    member = np.eye(count)[bins(scores, count)]
    held = weights @ member
    confidence = (weights * scores.probabilities.max(1)) @ member
    right = (weights * (scores.predicted == scores.labels)) @ member
    return _share(confidence, held), _share(right, held), held


def statistics(
    scores: Scores, classes: Sequence[str], normal: str, count: int, weights: Weights
) -> dict[str, Weights]:
    """Compute every figure under each weighting.

    Args:
        scores: predictions and truth of N clips.
        classes: class names in label order.
        normal: the class that is not an event; `auc` and `average_precision` are of any event.
        count: bins of the calibration error.
        weights: (R, N).

    Returns:
        (R,) per figure, NaN where it is not defined: `accuracy`, `macro_precision`,
        `macro_recall`, `macro_f1` (means over the classes that are there), `auc`,
        `average_precision`, `ece`, and per class `precision_`, `recall_`, `f1_`, `auc_` and
        `average_precision_<class>` (against the rest).
    """
    size = len(classes)
    pairs = np.eye(size * size)[scores.labels * size + scores.predicted]
    matrix = (weights @ pairs).reshape(-1, size, size)
    hits, actual, named = np.diagonal(matrix, axis1=1, axis2=2), matrix.sum(2), matrix.sum(1)
    parts = {
        "precision": _share(hits, named),
        "recall": _share(hits, actual),
        "f1": np.where(actual > 0, _share(2 * hits, actual + named), np.nan),
    }
    values = {"accuracy": _share(hits.sum(1), actual.sum(1))}
    for name, part in parts.items():
        there = np.where(actual > 0, np.nan_to_num(part), 0.0).sum(1)
        values[f"macro_{name}"] = _share(there, (actual > 0).sum(1))
    calm = list(classes).index(normal)
    event = 1.0 - scores.probabilities[:, calm]
    values["auc"], values["average_precision"] = ranking(event, scores.labels != calm, weights)
    values["ece"] = _calibration_error(scores, count, weights)
    for index, name in enumerate(classes):
        values |= {f"{kind}_{name}": part[:, index] for kind, part in parts.items()}
        values[f"auc_{name}"], values[f"average_precision_{name}"] = ranking(
            scores.probabilities[:, index], scores.labels == index, weights
        )
    return values


def _calibration_error(scores: Scores, count: int, weights: Weights) -> Weights:
    confidence, accuracy, held = calibration(scores, count, weights)
    gaps = np.nan_to_num(np.abs(confidence - accuracy)) * held
    return _share(gaps.sum(1), held.sum(1))


def _share(part: NDArray[Any], whole: NDArray[Any], empty: float = np.nan) -> Weights:
    """Return part / whole, `empty` where the whole is 0."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), empty)
