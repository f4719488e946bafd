"""Values to counts: the bins of a feature, chosen once on the reference."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vigil.watching.features import COUNTS, Floats


@dataclass(frozen=True)
class Bins:
    """Half-open bins over the whole line: below the first edge, between edges, from the last on.

    Attributes:
        edges: rising; one less than there are bins.
    """

    edges: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.edges) + 1

    def count(self, values: Floats) -> NDArray[np.int64]:
        """Return how many of (n,) values lie in each bin; NaN lies in none."""
        told = values[~np.isnan(values)]
        places = np.searchsorted(np.array(self.edges), told, side="right")
        return np.bincount(places, minlength=len(self)).astype(np.int64)

    def names(self, feature: str) -> list[str]:
        """Return each bin of a feature in words."""
        if not self.edges:
            return ["all"]
        if feature in COUNTS:
            return self._numbers()
        between = pairwise(self.edges)
        inner = [f"{low:.3g} to {high:.3g}" for low, high in between]
        return [f"below {self.edges[0]:.3g}", *inner, f"from {self.edges[-1]:.3g}"]

    def _numbers(self) -> list[str]:
        """Return the whole numbers in each bin."""
        last = [int(edge) for edge in self.edges]
        inner = [
            f"{low + 1}" if low + 1 == high else f"{low + 1} to {high}"
            for low, high in pairwise(last)
        ]
        return [f"up to {last[0]}", *inner, f"{last[-1] + 1} or more"]


def choose(feature: str, values: Floats, most: int, least: int) -> Bins:
    """Choose the bins of a feature.

    A count has a bin for each number that is seen often enough; the rest are equally full. A value
    that never changes has a bin of its own between all that is less and all that is more.

    Args:
        feature: its name.
        values: (n,) of the reference; NaN is left out.
        most: bins at most.
        least: values in a bin at least, where there are so many.
    """
    told = np.sort(values[~np.isnan(values)])
    if not len(told):
        return Bins(())
    if feature in COUNTS:
        return Bins(tuple(_count_edges(told, most, least)))
    bins = max(1, min(most, len(told) // least))
    inner = np.unique(np.quantile(told, np.arange(1, bins) / bins))
    inner = inner[inner > told[0]]
    if not len(inner):
        margin = 1e-6 * max(1.0, abs(float(told[0])))
        inner = np.array([told[0] - margin, told[-1] + margin])
    return Bins(tuple(float(edge) for edge in inner))


def _count_edges(told: Floats, most: int, least: int) -> list[float]:
    """Close a bin after each number once it holds enough; the last one is open upward."""
    numbers, counts = np.unique(np.floor(told), return_counts=True)
    edges: list[float] = []
    held = 0
    for number, count in zip(numbers, counts, strict=True):
        held += int(count)
        if held >= least and len(edges) < most - 1:
            edges.append(float(number) + 0.5)
            held = 0
    return edges or [float(numbers[-1]) + 0.5]
