"""Two runs side by side on the same clips: which differences are beyond noise.

The paired bootstrap draws videos once and computes both runs on each draw, so what makes a draw
hard is hard for both, and the interval is that of the difference (Efron and Tibshirani, 1993). A
difference is real where its 95 % interval leaves out 0. McNemar's exact test on the clips that only
one of the two gets right is given beside it; it takes clips as independent, which windows of one
video are not, and decides nothing.
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


@dataclass(frozen=True)
class Difference:
    """One metric of two runs.

    Attributes:
        metric: its name.
        first: value of the first run.
        second: value of the second.
        low: lower end of the 95 % interval of second - first.
        high: upper end.
        verdict: what the second run is.
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


def align(
    first: tuple[Scores, Sequence[str]], second: tuple[Scores, Sequence[str]]
) -> tuple[Scores, Scores]:
    """Bring two runs into the same order of clips.

    Args:
        first: a run's scores and class names.
        second: another's.

    Raises:
        InputError: other classes, other clips, other labels or videos of the same clips, a clip
            twice, or fewer videos than a bootstrap needs.
    """
    if list(first[1]) != list(second[1]):
        raise InputError(f"compare: expected classes {list(first[1])}, got {list(second[1])}")
    runs = [run for run, _ in (first, second)]
    if any(len(set(run.clips)) < len(run.clips) for run in runs):
        raise InputError("compare: expected each clip once, got one twice")
    lone = set(runs[0].clips) ^ set(runs[1].clips)
    if lone:
        raise InputError(
            f"compare: expected the same clips, got {len(lone)} that only one run holds, "
            f"such as {min(lone)}"
        )
    a, b = (run.take(np.argsort(np.array(run.clips))) for run in runs)
    if list(a.videos) != list(b.videos) or (a.labels != b.labels).any():
        raise InputError("compare: expected the same labels and videos of each clip, got others")
    videos = len(set(a.videos))
    if videos < LEAST_VIDEOS:
        raise InputError(f"compare: expected at least {LEAST_VIDEOS} videos, got {videos}")
    return a, b


def compare(
    first: Scores, second: Scores, classes: Sequence[str], normal: str, params: EvaluateSection
) -> list[Difference]:
    """Compute each metric of two aligned runs and the interval of the difference.

    Args:
        first: the run to compare with.
        second: the run in question.
        classes: class names in label order.
        normal: the class that is not an event.
        params: number and seed of the resamples, bins of the calibration error.

    Returns:
        One difference per metric of `METRICS` that both runs have.

    Raises:
        InputError: `normal` is no class of the runs.
    """
    if normal not in classes:
        raise InputError(f"compare: expected normal_class among {list(classes)}, got {normal}")

    def figures(run: Scores, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        found = statistics(run, classes, normal, params.calibration_bins, weights)
        return np.stack([found[name] for name in METRICS])

    values = [figures(run, ones(run))[:, 0] for run in (first, second)]
    draws = np.concatenate([
        figures(second, weights) - figures(first, weights)
        for weights in resamples(first.videos, params.bootstrap, params.seed)
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
