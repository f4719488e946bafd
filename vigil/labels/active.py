"""Which clips to label next: how much a label would tell, and how unlike the clips are.

Knows probabilities and vectors. Does not know who made them or who labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

Floats = NDArray[np.float64]
Strategy = Literal["random", "entropy", "margin", "vote_entropy", "divergence", "suspicion"]
Spread = Literal["none", "relevance", "k_center"]
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
        "vote_entropy": lambda: vote_entropy(members) + 1e-6 * entropy(mean),  # breaks its ties
        "divergence": lambda: divergence(members),
        "suspicion": lambda: suspicion(mean, normal),
    }
    return by[strategy]()


def choose(
    scores: Floats,
    vectors: NDArray[Any],
    count: int,
    how: Spread,
    weight: float,
    labeled: NDArray[Any] | None = None,
) -> NDArray[np.intp]:
    """Choose clips that tell much and are unlike each other and what is labeled already.

    `relevance` (maximal marginal relevance, Carbonell and Goldstein 1998) takes, one by one, the
    clip with the greatest `(1 - weight) * score + weight * distance`, the score scaled to [0, 1]
    by rank, the distance that to the nearest clip labeled or chosen. `k_center` (Sener and
    Savarese 2018) keeps the best scores, three times as many as wanted, and takes the farthest of
    them one by one; it does not read `weight`.

    Args:
        scores: (N,) higher tells more.
        vectors: (N, D) of the clips; their distance is 1 minus the cosine, halved.
        count: clips wanted.
        how: see above; `none`: the scores alone.
        weight: of the distance, in [0, 1].
        labeled: (L, D) vectors of what is labeled already.

    Returns:
        min(count, N) indices, the most wanted first.

    Raises:
        InputError: another number of vectors than of scores.
    """
    if len(vectors) != len(scores):
        raise InputError(f"active: expected {len(scores)} vectors, got {len(vectors)}")
    order = np.argsort(-scores, kind="stable")
    count = min(count, len(order))
    if how == "none" or not count:
        return order[:count]
    shortlist = order[: _SHORTLIST * count] if how == "k_center" else order
    value = 1.0 - np.arange(len(shortlist)) / max(len(shortlist), 1)
    if how == "k_center":
        value, weight = 1e-6 * value, 1.0  # equally far: the better score
    units = _units(vectors)
    near = _nearest(units[shortlist], _units(labeled) if labeled is not None else None)
    chosen: list[int] = []
    for _ in range(count):
        wanted = (1.0 - weight if weight < 1 else 1.0) * value + weight * near
        wanted[chosen] = -np.inf
        best = int(wanted.argmax())
        chosen.append(best)
        away = (1.0 - units[shortlist] @ units[shortlist[best]]) / 2
        near = np.minimum(near, away)
    return shortlist[chosen]


def _units(vectors: NDArray[Any]) -> Floats:
    wide = np.asarray(vectors, np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9))


def _nearest(units: Floats, labeled: Floats | None) -> Floats:
    """Return each vector's distance to the nearest labeled one; 1 where there is none."""
    if labeled is None or not len(labeled):
        return np.ones(len(units))
    return np.asarray((1.0 - (units @ labeled.T).max(1)) / 2)
