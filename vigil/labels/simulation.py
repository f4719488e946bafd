"""How many labels a strategy needs: labeling simulated on clips whose labels are known.

A small real model, logistic regression on the motion statistics of persons and pairs, is trained
anew after every batch of labels and judged on clips of other scenes. All strategies of a run begin
with the same clips by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import DatasetSection, SimulateSection, Spread, Strategy
from vigil.dataset import tensors
from vigil.errors import InputError
from vigil.labels.active import Floats, Pool, choose, score

_BATCH = 64
_LEVEL = (2.5, 97.5)
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Task:
    """Clips to label and clips to judge by.

    Attributes:
        features: (N, F) of the clips to label, standardized over them.
        labels: (N,) their classes.
        videos: N video ids.
        test_features: (T, F) of other scenes' clips.
        test_labels: (T,).
        normal: index of the class that is not an event.
        classes: how many there are.
    """

    features: Floats
    labels: NDArray[np.intp]
    videos: tuple[str, ...]
    test_features: Floats
    test_labels: NDArray[np.intp]
    normal: int
    classes: int


@dataclass(frozen=True, eq=False)
class Curve:
    """What a strategy reaches.

    Attributes:
        strategy: how clips are ranked.
        spread: how they are kept apart.
        f1: (runs, K) macro-F1 on the test clips with `start`, `start` + 1, ... labels.
        needed: labels with which the mean over runs reaches the goal.
        needed_range: its 95 % interval, by resampling the runs.
        saved: share of labels saved against the first strategy.
        saved_range: likewise.
    """

    strategy: Strategy
    spread: Spread
    f1: Floats
    needed: int
    needed_range: tuple[int, int]
    saved: float
    saved_range: tuple[float, float]


def task(
    pool: Sequence[Mapping[str, Any]],
    test: Sequence[Mapping[str, Any]],
    dataset: DatasetSection,
    normal: int,
    classes: int,
) -> Task:
    """Measure annotations of `vigil.dataset`.

    Args:
        pool: clips to label.
        test: clips to judge by.
        dataset: how clips are sampled.
        normal: index of the class that is not an event.
        classes: how many there are.
    """
    features, labels = statistics(pool, dataset)
    test_features, test_labels = statistics(test, dataset)
    mean, deviation = features.mean(0), np.maximum(features.std(0), 1e-6)
    videos = tuple(str(row["video_id"]) for row in pool)
    return Task((features - mean) / deviation, labels, videos,
                (test_features - mean) / deviation, test_labels, normal, classes)  # fmt: skip


def statistics(
    rows: Sequence[Mapping[str, Any]], dataset: DatasetSection
) -> tuple[Floats, NDArray[np.intp]]:
    """Return (N, F) motion statistics, see `vigil.models.kinematics`, and (N,) labels."""
    from vigil.compat import apply

    apply()
    import torch

    from vigil.models.kinematics import KinematicsBackbone
    from vigil.models.preprocess import SkeletonInput

    prepare, backbone = SkeletonInput("coco", "j", "body"), KinematicsBackbone()
    keypoints, sizes, labels = tensors(rows, dataset)
    with torch.no_grad():
        found = [
            backbone(
                prepare(
                    torch.from_numpy(keypoints[start : start + _BATCH]),
                    torch.from_numpy(sizes[start : start + _BATCH]),
                )
            ).numpy()
            for start in range(0, len(rows), _BATCH)
        ]
    return np.concatenate(found).astype(np.float64), labels.astype(np.intp)


def simulate(task: Task, params: SimulateSection) -> tuple[list[Curve], float]:
    """Simulate every strategy of the parameters.

    Args:
        task: what is labeled and judged.
        params: the section `labeling.simulate`; the first strategy is what others are held to.

    Returns:
        A curve per strategy, and the macro-F1 with all labels.

    Raises:
        InputError: fewer clips than a run begins with, or a single class.
    """
    if len(task.labels) <= params.start or len(np.unique(task.labels)) < 2:
        raise InputError(
            f"simulate: expected more than {params.start} clips of two classes or more, "
            f"got {len(task.labels)}"
        )
    everything = np.arange(len(task.labels))
    final = _macro_f1(task, _fit(task, everything, params))
    goal = params.share * final
    found = []
    for strategy, spread, weight in params.strategies:
        runs = [_run(task, params, strategy, spread, weight, run) for run in range(params.runs)]
        found.append((strategy, spread, np.array(runs)))
    reference = found[0][2]
    return [_curve(*one, reference, goal, params) for one in found], final


def _run(
    task: Task, params: SimulateSection, strategy: Strategy, spread: Spread, weight: float, run: int
) -> Floats:
    """Label the pool in one strategy's order; return the macro-F1 at every number of labels."""
    rng = np.random.default_rng([params.seed, run])
    order = rng.permutation(len(task.labels))
    count = params.start
    while len(np.unique(task.labels[order[:count]])) < 2:
        count += 1
    labeled, left = order[:count], np.sort(order[count:])
    counts, reached = [], []
    while True:
        counts.append(len(labeled))
        model = _fit(task, labeled, params)
        reached.append(_macro_f1(task, model))
        if not len(left):
            break
        said = _members(task, labeled, left, model, strategy, params, rng)
        scores = score(strategy, said, task.normal, int(rng.integers(2**31)))
        pool, done = (
            Pool([task.videos[i] for i in rows], task.features[rows]) for rows in (left, labeled)
        )
        chosen = choose(scores, pool, done, params.batch, spread, weight)
        labeled = np.concatenate([labeled, left[chosen]])
        left = np.delete(left, chosen)
    return np.interp(np.arange(params.start, len(task.labels) + 1), counts, reached)


def _members(
    task: Task, labeled: NDArray[np.intp], left: NDArray[np.intp], model: Any,
    strategy: Strategy, params: SimulateSection, rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Return what the model says of unlabeled clips, or a committee for strategies of one."""
    if strategy not in {"vote_entropy", "divergence"}:
        return _probabilities(task, model, left)[None]
    said = []
    for _ in range(params.members):
        drawn = rng.choice(labeled, len(labeled))
        varied = len(np.unique(task.labels[drawn])) > 1
        member = _fit(task, drawn if varied else labeled, params)
        said.append(_probabilities(task, member, left))
    return np.stack(said)


def _fit(task: Task, rows: NDArray[np.intp], params: SimulateSection) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=params.penalty, class_weight="balanced", solver="newton-cholesky", tol=1e-3
    )
    return model.fit(task.features[rows], task.labels[rows])


def _probabilities(task: Task, model: Any, rows: NDArray[np.intp]) -> Floats:
    said = np.zeros((len(rows), task.classes))
    said[:, model.classes_] = model.predict_proba(task.features[rows])
    return said


def _macro_f1(task: Task, model: Any) -> float:
    from sklearn.metrics import f1_score

    said = model.predict(task.test_features)
    return float(f1_score(task.test_labels, said, average="macro", zero_division=0.0))


def _curve(
    strategy: Strategy, spread: Spread, f1: Floats, reference: Floats, goal: float,
    params: SimulateSection,
) -> Curve:  # fmt: skip
    rng = np.random.default_rng([params.seed, 1])
    drawn = rng.integers(params.runs, size=(_RESAMPLES, params.runs))
    needed = np.array([_needed(f1[rows], goal, params.start) for rows in drawn])
    held_to = np.array([_needed(reference[rows], goal, params.start) for rows in drawn])
    count, base = (_needed(runs, goal, params.start) for runs in (f1, reference))
    low, high = np.percentile(needed, _LEVEL)
    least, most = np.percentile(1 - needed / held_to, _LEVEL)
    return Curve(strategy, spread, f1, count, (round(low), round(high)),
                 1 - count / base, (float(least), float(most)))  # fmt: skip


def _needed(runs: Floats, goal: float, start: int) -> int:
    """Return the number of labels from which on the mean over `runs` first reaches `goal`."""
    reached = runs.mean(0) >= goal - 1e-12
    return start + int(reached.argmax())
