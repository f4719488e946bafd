"""Which clips to label next: how much a label would tell, and how unlike the clips are.

Knows probabilities and vectors. Does not know who made them or who labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Spread, Strategy
from vigil.errors import InputError

Floats = NDArray[np.float64]
_TIE = 1e-6
_SHORTLIST = 3  # k-center chooses among so many times the clips that are wanted


def entropy(probabilities: Floats) -> Floats:
    """Return the entropy of each prediction, 1 where all classes are equally probable.

    Args:
        probabilities: (N, C) with rows that sum to 1.

    Returns:
        (N,) in [0, 1].
    """
    terms = probabilities * np.log(np.clip(probabilities, 1e-12, 1.0))
    return np.asarray(-terms.sum(1) / np.log(probabilities.shape[1]))


def margin(probabilities: Floats) -> Floats:
    """Return how near the two most probable classes are: 1 minus their difference; (N,)."""
    top = np.sort(probabilities, axis=1)[:, -2:]
    return np.asarray(1.0 - (top[:, 1] - top[:, 0]))


def suspicion(probabilities: Floats, normal: int) -> Floats:
    """Return the probability of any event; (N,)."""
    return np.asarray(1.0 - probabilities[:, normal])


def vote_entropy(members: Floats) -> Floats:
    """Return the entropy of what the members of an ensemble would vote for.

    Args:
        members: (S, N, C) probabilities of S members.

    Returns:
        (N,) in [0, 1]; 0 where all name the same class.
    """
    classes = members.shape[2]
    return entropy(np.asarray(np.eye(classes)[members.argmax(2)].mean(0)))


def divergence(members: Floats) -> Floats:
    """Return the mean Kullback-Leibler divergence of the members from their mean; (N,) nats."""
    safe = np.clip(members, 1e-12, 1.0)
    return np.asarray((safe * np.log(safe / safe.mean(0))).sum(2).mean(0))


def score(strategy: Strategy, members: Floats, normal: int, seed: int = 0) -> Floats:
    """Say how much each clip's label would tell.

    Args:
        strategy: by what.
        members: (S, N, C) probabilities of S members, or of one model.
        normal: index of the class that is not an event.
        seed: of `random`.

    Returns:
        (N,), higher is more.
    """
    mean = members.mean(0)
    by: Mapping[Strategy, Callable[[], Floats]] = {
        "random": lambda: np.random.default_rng(seed).random(members.shape[1]),
        "entropy": lambda: entropy(mean),
        "margin": lambda: margin(mean),
        "vote_entropy": lambda: vote_entropy(members) + _TIE * entropy(mean),
        "divergence": lambda: divergence(members),
        "suspicion": lambda: suspicion(mean, normal),
    }
    return by[strategy]()


@dataclass(frozen=True, eq=False)
class Pool:
    """Clips to choose from, or clips that are labeled already.

    Attributes:
        groups: N names: clips of one video show nearly the same.
        vectors: (N, D) of the clips; None where nothing reads them.
    """

    groups: Sequence[str]
    vectors: NDArray[Any] | None = None


def choose(
    scores: Floats, pool: Pool, labeled: Pool, count: int, how: Spread, weight: float
) -> NDArray[np.intp]:
    """Choose clips that tell much and are unlike each other and what is labeled already.

    Scores are scaled to [0, 1] by rank. `video` takes, one by one, the clip with the greatest
    `score - weight * clips of its video that are labeled or chosen`: at 1 no video gets a second
    clip before every video has one. `relevance` (maximal marginal relevance, Carbonell and
    Goldstein 1998) takes the greatest `(1 - weight) * score + weight * distance`, the distance
    that to the nearest clip labeled or chosen, 1 minus the cosine, halved. `k_center` (Sener and
    Savarese 2018) keeps the best scores, three times as many as wanted, and takes the farthest of
    them one by one; it reads no `weight`. `none`: the scores alone.

    Args:
        scores: (N,) higher tells more.
        pool: the N clips.
        labeled: what is labeled already.
        count: clips wanted.
        how: see above.
        weight: of being unlike, in [0, 1].

    Returns:
        min(count, N) indices, the most wanted first.

    Raises:
        InputError: another number of clips than of scores, or vectors are missing.
    """
    if len(pool.groups) != len(scores):
        raise InputError(f"active: expected {len(scores)} clips, got {len(pool.groups)}")
    order = np.argsort(-scores, kind="stable")
    count = min(count, len(order))
    if how == "none" or not count:
        return order[:count]
    shortlist = order[: _SHORTLIST * count] if how == "k_center" else order
    ranked = 1.0 - np.arange(len(shortlist)) / len(shortlist)
    if how == "video":
        groups = [pool.groups[place] for place in shortlist]
        return shortlist[_by_group(ranked, groups, labeled, weight)[:count]]
    if pool.vectors is None:
        raise InputError(f"active: {how}: expected vectors of the clips, got none; run `embed`")
    weight = 1.0 - _TIE if how == "k_center" else weight  # equally far: the better score
    units = _units(pool.vectors)[shortlist]
    return shortlist[_by_distance(ranked, units, labeled.vectors, count, weight)]


def _by_group(ranked: Floats, groups: Sequence[str], labeled: Pool, weight: float) -> list[int]:
    """Order clips, best first in `ranked`: of a group, each is taken before those behind it."""
    seen = Counter(labeled.groups)
    before = []
    for group in groups:
        before.append(seen[group])
        seen[group] += 1
    later = weight * np.array(before, np.float64) - ranked
    return [int(place) for place in np.argsort(later, kind="stable")]


def _by_distance(
    ranked: Floats, units: Floats, labeled: NDArray[Any] | None, count: int, weight: float
) -> list[int]:
    near = _nearest(units, labeled)
    chosen: list[int] = []
    for _ in range(count):
        wanted = (1.0 - weight) * ranked + weight * near
        wanted[chosen] = -np.inf
        best = int(wanted.argmax())
        chosen.append(best)
        near = np.minimum(near, (1.0 - units @ units[best]) / 2)
    return chosen


def _units(vectors: NDArray[Any]) -> Floats:
    wide = np.asarray(vectors, np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9))


def _nearest(units: Floats, labeled: NDArray[Any] | None) -> Floats:
    """Return each vector's distance to the nearest labeled one; 1 where there is none."""
    if labeled is None or not len(labeled):
        return np.ones(len(units))
    return np.asarray((1.0 - (units @ _units(labeled).T).max(1)) / 2)
