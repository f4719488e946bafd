"""Kappa, exactly: agreement beyond what chance would give, for two raters and for many.

Every function takes weights per clip, so that a bootstrap is one matrix product. What is not
defined is NaN here and None for people: no clip at all, or chance agreement of 1 (only one class).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TINY = 1e-12


def cohen(
    first: NDArray[np.intp], second: NDArray[np.intp], classes: int, weights: Floats
) -> Floats:
    """Compute Cohen's kappa (1960) under each weighting of the clips.

    Args:
        first: (N,) class that one rater gave.
        second: (N,) class that the other gave.
        classes: number of classes.
        weights: (R, N), 0 and more.

    Returns:
        (R,), NaN where undefined.
    """
    pairs = np.eye(classes * classes)[first * classes + second]
    table = (weights @ pairs).reshape(len(weights), classes, classes)
    total = table.sum((1, 2))
    observed = _share(np.trace(table, axis1=1, axis2=2), total)
    chance = _share((table.sum(2) * table.sum(1)).sum(1), total**2)
    return _kappa(observed, chance)


def fleiss(counts: Floats, weights: Floats) -> Floats:
    """Compute Fleiss' kappa (1971) under each weighting of the clips.

    The number of raters may vary from clip to clip: as Gwet (2014) does it, clips with two raters
    or more tell how often two of them agree, and all clips with any tell how often each class is
    given, every clip alike. With the same number everywhere that is Fleiss' own kappa.

    Args:
        counts: (N, classes) how many raters gave each class to each clip.
        weights: (R, N), 0 and more.

    Returns:
        (R,), NaN where undefined.
    """
    raters = counts.sum(1)
    shared = raters >= 2
    pairs = np.where(shared, raters * (raters - 1), 1.0)
    agreeing = np.where(shared, (counts * (counts - 1)).sum(1) / pairs, 0.0)
    share = counts / np.maximum(raters, 1.0)[:, None]
    observed = _share(weights @ agreeing, weights @ shared.astype(float))
    given = _share(weights @ share, (weights @ (raters > 0))[:, None])
    return _kappa(observed, np.square(given).sum(1))


def accuracy(first: NDArray[np.intp], second: NDArray[np.intp], weights: Floats) -> Floats:
    """Compute the share of clips on which both are the same, under each weighting; (R,)."""
    return _share(weights @ (first == second).astype(float), weights.sum(1))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _kappa(observed: Floats, chance: Floats) -> Floats:
    room = 1.0 - chance
    return np.divide(
        observed - chance, room, out=np.full(np.shape(room), np.nan), where=room > _TINY
    )
