"""The population stability index (PSI), and what chance alone makes of it.

PSI is the sum over bins of `(q - p) ln(q / p)`, with p the reference's shares and q those of what
is served. It is never negative, so a small sample has a PSI above 0 without any drift: for
independent values about `(bins - 1) (1 / n + 1 / m)`. Windows of one video are not independent and
make that far larger, so chance is simulated here with whole videos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.watching.features import Floats

Counts = NDArray[np.int64]
_HALF = 0.5  # added to every count, so that an empty bin has a logarithm


def shares(counts: Counts) -> Floats:
    """Return (..., bins) shares of (..., bins) counts, half an observation added to each bin."""
    raised = np.asarray(counts, np.float64) + _HALF
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def index(reference: Floats, served: Floats) -> Floats:
    """Return the PSI between (..., bins) shares; all above 0."""
    return np.asarray(((served - reference) * np.log(served / reference)).sum(-1))


@dataclass(frozen=True)
class Band:
    """What PSI is without drift.

    Attributes:
        mean: the bias of samples of these sizes.
        high: not exceeded with the probability asked for.
    """

    mean: float
    high: float


def null_band(
    groups: Counts, blocks: Counts, level: float, resamples: int, rng: np.random.Generator
) -> Band:
    """Simulate PSI between two samples of the population that the reference shows.

    In each draw the reference is made anew of as many whole videos, and each block of what is
    served is made of one video's distribution, so that videos differ in both as they really do.

    Args:
        groups: (G, bins) counts of each video of the reference.
        blocks: (g,) values in each block of what is served.
        level: probability of exceeding `Band.high`.
        resamples: draws.
        rng: of the draws.
    """
    sizes = groups.sum(1)
    groups, sizes = groups[sizes > 0], sizes[sizes > 0]
    own = groups / sizes[:, None]
    weights = rng.multinomial(len(groups), np.full(len(groups), 1 / len(groups)), resamples)
    reference = shares(weights @ groups)
    served = np.zeros((resamples, groups.shape[1]), np.int64)
    for size in blocks[blocks > 0]:
        video = rng.choice(len(groups), resamples, p=sizes / sizes.sum())
        served += rng.multinomial(int(size), own[video])
    values = index(reference, shares(served))
    return Band(float(values.mean()), float(np.quantile(values, 1 - level)))
