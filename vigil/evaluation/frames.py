"""How well frames are ranked: AUC over the frames of all test videos together.

Pooled means one ranking of all frames. The mean of one AUC per video, or per pair of an abnormal
and a normal video, is another and far kinder figure: it forgives a system whose scores mean
different things on different videos, which no alarm threshold does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection
from vigil.errors import InputError
from vigil.evaluation.metrics import BOOTSTRAP, Metric
from vigil.evaluation.statistics import Weights, ranking, resamples
from vigil.frames import SOURCES, FrameTruth
from vigil.schema import FrameScores

_BOUNDS = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Pooled:
    """The N known frames of many videos, one after the other.

    Attributes:
        videos: (N,) index of the frame's video.
        score: (N,) float32, higher is more abnormal.
        probabilities: (N, C) float32.
        active: (N, C) bool: what is happening.
        source: (N,) int8, see `vigil.frames.SOURCES`.
        normal: index of the class that is not an event.
        abnormal: (N,) bool: the frame's video holds an event.
    """

    videos: NDArray[np.int64]
    score: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    active: NDArray[np.bool_]
    source: NDArray[np.int8]
    normal: int
    abnormal: NDArray[np.bool_]

    @property
    def event(self) -> NDArray[np.bool_]:
        """(N,) whether any event is happening."""
        return ~self.active[:, self.normal]


def pool(said: Sequence[FrameScores], truths: Sequence[FrameTruth], normal: int) -> Pooled:
    """Join the known frames of videos.

    Args:
        said: scores of at least one video.
        truths: of the same videos in the same order.
        normal: index of the class that is not an event.

    Raises:
        InputError: no video, scores and truth of different videos or lengths, a score that is not
            finite, or no known frame.
    """
    if not said:
        raise InputError("frames: expected scores of at least one video, got none")
    for scores, truth in zip(said, truths, strict=True):
        if scores.video_id != truth.video_id or len(scores) != len(truth.known):
            raise InputError(
                f"frames: {truth.video_id}: expected {len(truth.known)} scores, got "
                f"{len(scores)} of {scores.video_id}"
            )
        if not np.isfinite(scores.probabilities).all():
            raise InputError(f"frames: {truth.video_id}: expected finite scores, got others")
    parts = [
        (np.full(truth.known.sum(), i), s.score[truth.known], s.probabilities[truth.known],
         truth.active[truth.known], s.source[truth.known],
         np.full(truth.known.sum(), bool((~truth.active[truth.known, normal]).any())))
        for i, (s, truth) in enumerate(zip(said, truths, strict=True))
    ]  # fmt: skip
    videos, score, probabilities, active, source, abnormal = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    if not len(videos):
        raise InputError("frames: expected at least one frame whose truth is known, got none")
    return Pooled(videos, score, probabilities, active, source, normal, abnormal)


def figures(pooled: Pooled, classes: Sequence[str], weights: Weights) -> dict[str, Weights]:
    """Compute every figure of ranking under each weighting of the frames.

    Args:
        pooled: N frames.
        classes: class names in label order.
        weights: (R, N).

    Returns:
        (R,) per figure, NaN where it is not defined: `auc` and `average_precision` of any event,
        `auc_abnormal_videos` (the same AUC over videos that hold an event, where a guess of which
        video is abnormal helps nothing), and per event class `auc_<class>` of its probability.
    """
    auc, precision = ranking(pooled.score, pooled.event, weights)
    own = ranking(pooled.score, pooled.event, weights * pooled.abnormal)[0]
    found = {"auc": auc, "average_precision": precision, "auc_abnormal_videos": own}
    for index, name in enumerate(classes):
        if index != pooled.normal:
            found[f"auc_{name}"] = ranking(
                pooled.probabilities[:, index], pooled.active[:, index], weights
            )[0]
    return found


def measure_frames(
    systems: Mapping[str, Pooled], classes: Sequence[str], params: EvaluateSection
) -> tuple[dict[str, dict[str, Metric]], dict[tuple[str, str], Metric]]:
    """Compute the figures of systems that judged the same frames, and how they differ.

    Videos are drawn once for all systems, so the interval of a difference is that of the paired
    bootstrap.

    Args:
        systems: frames by system; the same frames in each.
        classes: class names in label order.
        params: number and seed of the resamples.

    Returns:
        Each system's defined figures, and by (one, other) the pooled AUC of the first less that
        of the second. Every figure has `value`, `low`, `high`, `n` (frames) and `interval`.

    Raises:
        InputError: systems that judged different frames.
    """
    _check_same_frames(systems)
    first = next(iter(systems.values()))
    count = len(first.videos)
    values = {
        name: figures(pooled, classes, np.ones((1, count))) for name, pooled in systems.items()
    }
    draws = _draws(systems, classes, params)
    measured = {
        name: {
            figure: metric
            for figure, value in values[name].items()
            if (metric := _metric(float(value[0]), draws[name][figure], count)) is not None
        }
        for name in systems
    }
    gaps = {}
    for one, other in permutations(systems, 2):
        value = float(values[one]["auc"][0] - values[other]["auc"][0])
        metric = _metric(value, draws[one]["auc"] - draws[other]["auc"], count)
        if metric is not None:
            gaps[one, other] = metric
    return measured, gaps


def _check_same_frames(systems: Mapping[str, Pooled]) -> None:
    first = next(iter(systems.values()))
    for name, pooled in systems.items():
        alike = np.array_equal(pooled.videos, first.videos)
        if not alike or not np.array_equal(pooled.active, first.active):
            raise InputError(f"frames: {name}: expected the frames of the others, got different")


def _draws(
    systems: Mapping[str, Pooled], classes: Sequence[str], params: EvaluateSection
) -> dict[str, dict[str, Weights]]:
    """Return every figure of every system on the same resamples of videos."""
    videos = [str(video) for video in next(iter(systems.values())).videos]
    parts: dict[str, dict[str, list[Weights]]] = {name: {} for name in systems}
    for weights in resamples(videos, params.bootstrap, params.seed):
        for name, pooled in systems.items():
            for figure, values in figures(pooled, classes, weights).items():
                parts[name].setdefault(figure, []).append(values)
    return {
        name: {figure: np.concatenate(values) for figure, values in found.items()}
        for name, found in parts.items()
    }


def _metric(value: float, draws: NDArray[np.float64], count: int) -> Metric | None:
    """Return a figure with its 95 % interval, or None where it is not defined."""
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(draws):
        return None
    low, high = (float(bound) for bound in np.percentile(draws, _BOUNDS))
    return {"value": value, "low": min(low, value), "high": max(high, value), "n": count,
            "interval": BOOTSTRAP}  # fmt: skip


def explained(tracked: Pooled, perfect: Pooled, params: EvaluateSection) -> dict[str, Metric]:
    """Say how much of a system's loss goes away when every person is found and followed.

    Args:
        tracked: its frames with the detector's and tracker's boxes.
        perfect: the same frames with the true ones.
        params: number and seed of the resamples.

    Returns:
        `tracked` and `perfect` (pooled AUC), `gain` (the second less the first) and, where the
        first is below 1, `share`: gain / (1 - tracked), the part of the distance to a perfect AUC
        that missed and mixed-up people explain; negative where true boxes do worse.
    """

    def areas(weights: Weights) -> NDArray[np.float64]:
        return np.stack([ranking(p.score, p.event, weights)[0] for p in (tracked, perfect)])

    count = len(tracked.videos)
    before, after = (float(value) for value in areas(np.ones((1, count)))[:, 0])
    first, second = np.concatenate([
        areas(weights)
        for weights in resamples([str(v) for v in tracked.videos], params.bootstrap, params.seed)
    ], axis=1)  # fmt: skip
    lost = np.where(first < 1, 1.0 - first, np.nan)
    found = {
        "tracked": _metric(before, first, count),
        "perfect": _metric(after, second, count),
        "gain": _metric(after - before, second - first, count),
    }
    if before < 1:
        found["share"] = _metric((after - before) / (1.0 - before), (second - first) / lost, count)
    return {name: metric for name, metric in found.items() if metric is not None}


def sources(pooled: Pooled) -> dict[str, Any]:
    """Count where the scores come from: judged, carried forward, or of the whole frame."""
    return {name: int((pooled.source == code).sum()) for code, name in SOURCES.items()}
