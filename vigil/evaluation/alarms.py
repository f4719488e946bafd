"""What a person at the screen gets: events found, and false alarms per hour.

A score is looked at in even steps. An alarm is raised when n of the last m looks are above the
threshold, ends when none of them is, and counts again while the score stays up, so that a system
which never stops alarming is not counted once. The threshold is chosen on validation videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import AlarmSection, EvaluateSection
from vigil.evaluation.metrics import WIDER, Metric, wilson
from vigil.evaluation.statistics import resamples
from vigil.frames import FrameTruth
from vigil.schema import FrameScores

_THRESHOLDS = 200
_HOUR_S = 3600.0
_TAIL = 0.025
_POISSON = "bootstrap over videos, or Poisson's where wider"


@dataclass(frozen=True)
class Tally:
    """What the alarms of one video came to.

    Attributes:
        found: by event, whether an alarm was raised for it.
        labels: class of each event.
        delays_s: seconds from the start of each found event to its first alarm.
        false: alarms for no event.
        seconds: known length of the video.
    """

    found: tuple[bool, ...]
    labels: tuple[str, ...]
    delays_s: tuple[float, ...]
    false: int
    seconds: float


def looks(scores: FrameScores, known: NDArray[np.bool_], step_s: float) -> NDArray[np.float64]:
    """Return (K, 2) seconds and score at even steps: the last known frame at or before each.

    Steps without a known frame since the step before are left out.
    """
    times, values = scores.time_s[known], scores.score[known].astype(np.float64)
    if not len(times):
        return np.zeros((0, 2))
    step = np.floor((times - times[0]) / step_s + 1e-9).astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(step)), len(step) - 1)
    return np.stack([times[last], values[last]], axis=1)


def alarms(seen: NDArray[np.float64], threshold: float, params: AlarmSection) -> list[float]:
    """Return the seconds at which alarms are raised, rising.

    Args:
        seen: (K, 2) seconds and score of each look.
        threshold: a look at or above it counts.
        params: n of m, and after how long a standing alarm counts again.
    """
    up = seen[:, 1] >= threshold
    above = np.concatenate([[0], np.cumsum(up)])
    ends = np.arange(1, len(seen) + 1)
    of_last = above[ends] - above[np.maximum(ends - params.m, 0)]
    raised: list[float] = []
    standing = False
    for time, now, count in zip(seen[:, 0].tolist(), up, of_last.tolist(), strict=True):
        standing = standing and count > 0
        due = not standing or time - raised[-1] >= params.repeat_s
        if now and count >= params.n and due:
            standing = True
            raised.append(time)
    return raised


def tally(scores: FrameScores, truth: FrameTruth, threshold: float, params: AlarmSection) -> Tally:
    """Set the alarms of one video against its events.

    Args:
        scores: of every frame.
        truth: of the same video.
        threshold: see `alarms`.
        params: the rule, and the seconds around an event in which an alarm is for it.
    """
    raised = np.array(alarms(looks(scores, truth.known, params.step_s), threshold, params))
    mine = np.zeros(len(raised), np.bool_)
    found, delays = [], []
    for event in truth.events:
        near = (raised >= event.start_s - params.slack_s) & (raised < event.end_s + params.slack_s)
        mine |= near
        found.append(bool(near.any()))
        if near.any():
            delays.append(float(raised[near][0] - event.start_s))
    labels = tuple(event.label for event in truth.events)
    return Tally(tuple(found), labels, tuple(delays), int((~mine).sum()), truth.seconds)


def operating_point(
    said: Sequence[FrameScores], truths: Sequence[FrameTruth], params: AlarmSection
) -> float:
    """Choose the threshold: the lowest from which on false alarms stay within the limit.

    Args:
        said: scores of validation videos.
        truths: of the same videos in the same order.
        params: the rule and the limit.

    Returns:
        A threshold; above every score where even the highest one raises too many.
    """
    values = np.concatenate([s.score[t.known] for s, t in zip(said, truths, strict=True)])
    steps = np.unique(np.quantile(values, np.linspace(0, 1, _THRESHOLDS)))
    chosen = float(np.nextafter(values.max(), np.float32(np.inf)))
    hours = sum(truth.seconds for truth in truths) / _HOUR_S
    for threshold in steps[::-1].tolist():
        false = sum(tally(s, t, threshold, params).false for s, t in zip(said, truths, strict=True))
        if false > params.max_false_per_hour * hours:
            break
        chosen = threshold
    return chosen


def measure_events(
    said: Sequence[FrameScores],
    truths: Sequence[FrameTruth],
    threshold: float,
    params: AlarmSection,
    evaluate: EvaluateSection,
) -> dict[str, Any]:
    """Compute what the alarms at a threshold come to.

    Args:
        said: scores of test videos.
        truths: of the same videos in the same order.
        threshold: see `operating_point`.
        params: the rule.
        evaluate: number and seed of the resamples of videos.

    Returns:
        `threshold`, `hours` (known length), `events`, `found`, `false_alarms`, `recall` and
        `false_alarms_per_hour` with intervals (recall is absent without events), `recall_<class>`
        of every class with events, and `median_delay_s` of the found ones (None without).
    """
    tallies = [tally(s, t, threshold, params) for s, t in zip(said, truths, strict=True)]
    hours = sum(one.seconds for one in tallies) / _HOUR_S
    delays = [delay for one in tallies for delay in one.delays_s]
    labels = sorted({label for one in tallies for label in one.labels})
    report: dict[str, Any] = {
        "threshold": threshold,
        "hours": hours,
        "events": sum(len(one.found) for one in tallies),
        "found": sum(sum(one.found) for one in tallies),
        "false_alarms": sum(one.false for one in tallies),
        "median_delay_s": float(np.median(delays)) if delays else None,
        "false_alarms_per_hour": _rate(tallies, evaluate),
    }
    for name, members in [("recall", labels), *((f"recall_{one}", [one]) for one in labels)]:
        if members:
            report[name] = _recall(tallies, members, evaluate)
    return report


def _recall(tallies: Sequence[Tally], labels: Sequence[str], evaluate: EvaluateSection) -> Metric:
    """Return the share of events of some classes that were found."""
    pairs = [
        [found for found, label in zip(one.found, one.labels, strict=True) if label in labels]
        for one in tallies
    ]
    hits, count = (np.array([f(own) for own in pairs], np.float64) for f in (sum, len))
    low, high = _bounds(hits, count, evaluate)
    floor, ceiling = wilson(int(hits.sum()), int(count.sum()))
    return {"value": float(hits.sum() / count.sum()), "low": min(low, floor),
            "high": max(high, ceiling), "n": int(count.sum()), "interval": WIDER}  # fmt: skip


def _rate(tallies: Sequence[Tally], evaluate: EvaluateSection) -> Metric:
    """Return false alarms per hour; the exact Poisson interval where that is wider."""
    from scipy.stats import chi2

    false = np.array([one.false for one in tallies], np.float64)
    hours = np.array([one.seconds for one in tallies]) / _HOUR_S
    low, high = _bounds(false, hours, evaluate)
    total, length = int(false.sum()), float(hours.sum())
    floor = float(chi2.ppf(_TAIL, 2 * total)) / 2 / length if total else 0.0
    ceiling = float(chi2.ppf(1 - _TAIL, 2 * total + 2)) / 2 / length
    return {"value": total / length, "low": min(low, floor), "high": max(high, ceiling),
            "n": total, "interval": _POISSON}  # fmt: skip


def _bounds(
    part: NDArray[np.float64], whole: NDArray[np.float64], evaluate: EvaluateSection
) -> tuple[float, float]:
    """Return the 95 % bounds of sum(part) / sum(whole) over resampled videos."""
    names = [str(index) for index in range(len(part))]
    shares = []
    for weights in resamples(names, evaluate.bootstrap, evaluate.seed):
        total = weights @ whole
        shares.append((weights @ part)[total > 0] / total[total > 0])
    low, high = np.percentile(np.concatenate(shares), (100 * _TAIL, 100 - 100 * _TAIL))
    return float(low), float(high)
