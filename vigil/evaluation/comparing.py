"""Two recipes side by side on the same clips: which differences are beyond noise.

The paired bootstrap draws videos once and computes both runs on each draw, so what makes a draw
hard is hard for both, and the interval is that of the difference (Efron and Tibshirani, 1993). A
difference is real where its 95 % interval leaves out 0. McNemar's exact test on the clips that only
one of the two gets right is given beside it; it takes clips as independent, which windows of one
video are not, and decides nothing.

An interval over videos is that of the trainings at hand: the same recipe from another seed is
another network. Where a recipe brings several trainings, its metric is their mean, and every draw
takes, besides videos, trainings of each recipe with replacement: k - 1 of k, whose mean has the
variance s^2 / k of the mean of k, where k draws would have (k - 1) / k of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection
from vigil.errors import InputError
from vigil.evaluation.scores import Scores
from vigil.evaluation.statistics import ones, resamples, statistics

METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "auc", "average_precision",
           "ece")  # fmt: skip
_LESS_IS_BETTER = ("ece",)
LEAST_VIDEOS = 5

Verdict = Literal["better", "worse", "within noise"]
Figures = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One metric of two recipes.

    Attributes:
        metric: its name.
        first: value of the first.
        second: value of the second.
        low: lower end of the 95 % interval of second - first.
        high: upper end.
        verdict: what the second is.
    """

    metric: str
    first: float
    second: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True)
class McNemar:
    """The clips on which two runs part.

    Attributes:
        only_first: clips that only the first run gets right.
        only_second: clips that only the second gets right.
        p_value: two-sided exact probability of a split at least as uneven by chance.
    """

    only_first: int
    only_second: int
    p_value: float


def align(*runs: tuple[Scores, Sequence[str]]) -> list[Scores]:
    """Bring runs into the same order of clips.

    Args:
        runs: each one's scores and class names, two or more.

    Raises:
        InputError: other classes, other clips, other labels or videos of the same clips, a clip
            twice, or fewer videos than a bootstrap needs.
    """
    first, classes = runs[0]
    for run, named in runs:
        if list(named) != list(classes):
            raise InputError(f"compare: expected classes {list(classes)}, got {list(named)}")
        if len(set(run.clips)) < len(run.clips):
            raise InputError("compare: expected each clip once, got one twice")
        lone = set(first.clips) ^ set(run.clips)
        if lone:
            raise InputError(
                f"compare: expected the same clips, got {len(lone)} that only one run holds, "
                f"such as {min(lone)}"
            )
    found = [run.take(np.argsort(np.array(run.clips))) for run, _ in runs]
    for run in found:
        if list(run.videos) != list(found[0].videos) or (run.labels != found[0].labels).any():
            raise InputError(
                "compare: expected the same labels and videos of each clip, got others"
            )
    videos = len(set(first.videos))
    if videos < LEAST_VIDEOS:
        raise InputError(f"compare: expected at least {LEAST_VIDEOS} videos, got {videos}")
    return found


def compare(
    first: Sequence[Scores], second: Sequence[Scores],
    classes: Sequence[str], normal: str, params: EvaluateSection,
) -> list[Difference]:  # fmt: skip
    """Compute each metric of two recipes and the interval of the difference.

    Args:
        first: trainings of the recipe to compare with; all runs are aligned.
        second: of the recipe in question.
        classes: class names in label order.
        normal: the class that is not an event.
        params: number and seed of the resamples, bins of the calibration error.

    Returns:
        One difference per metric of `METRICS` that both recipes have; values are means over
        trainings.

    Raises:
        InputError: `normal` is no class of the runs.
    """
    if normal not in classes:
        raise InputError(f"compare: expected normal_class among {list(classes)}, got {normal}")

    def figures(runs: Sequence[Scores], weights: Figures) -> Figures:
        found = [statistics(run, classes, normal, params.calibration_bins, weights) for run in runs]
        return np.array([[each[name] for name in METRICS] for each in found])

    rng = np.random.default_rng((params.seed, 1))
    values = [figures(runs, ones(runs[0])).mean(0)[:, 0] for runs in (first, second)]
    draws = np.concatenate([
        _drawn(figures(second, weights), rng) - _drawn(figures(first, weights), rng)
        for weights in resamples(first[0].videos, params.bootstrap, params.seed)
    ], axis=1)  # fmt: skip
    found = []
    for metric, a, b, gaps in zip(METRICS, *values, draws, strict=True):
        gaps = gaps[np.isfinite(gaps)]
        if np.isfinite(a + b) and len(gaps):
            low, high = (float(bound) for bound in np.percentile(gaps, (2.5, 97.5)))
            found.append(
                Difference(metric, float(a), float(b), low, high, verdict(metric, low, high))
            )
    return found


def _drawn(figures: Figures, rng: np.random.Generator) -> Figures:
    """Draw trainings, one fewer than there are (of one: that), and average their figures.

    Args:
        figures: (trainings, metrics, r).
        rng: draws anew for each of the r resamples.

    Returns:
        (metrics, r).
    """
    count, drawn = len(figures), max(1, len(figures) - 1)
    taken = rng.multinomial(drawn, np.full(count, 1 / count), size=figures.shape[2])
    averages: Figures = np.einsum("kmr,rk->mr", figures, taken / drawn)
    return averages


def verdict(metric: str, low: float, high: float) -> Verdict:
    """Judge the interval of a difference: `within noise` where it holds 0."""
    if low <= 0 <= high:
        return "within noise"
    rises = low > 0
    return "better" if rises != (metric in _LESS_IS_BETTER) else "worse"


def mcnemar(first: Scores, second: Scores) -> McNemar:
    """Compare two aligned runs clip by clip (McNemar, 1947; exact binomial form)."""
    from scipy.stats import binomtest

    a, b = first.predicted == first.labels, second.predicted == second.labels
    lost, won = int((a & ~b).sum()), int((b & ~a).sum())
    p_value = float(binomtest(lost, lost + won).pvalue) if lost + won else 1.0
    return McNemar(lost, won, p_value)
