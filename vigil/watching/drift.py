"""What is served, held against the reference, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vigil.config import DriftSection
from vigil.watching.psi import Band, index, null_band, shares
from vigil.watching.reading import Key, Served, blocks_of, values_of
from vigil.watching.record import Seen
from vigil.watching.reference import Feature, Reference, View

State = Literal["stable", "watch", "alarm", "too few"]


@dataclass(frozen=True)
class Finding:
    """One feature.

    Attributes:
        feature: its name.
        state: see `judge`.
        psi: population stability index.
        band: what PSI is without drift.
        n: values served.
        blocks: stretches of time and source that they are of.
        reference_n: values of the reference.
        reference_groups: videos that they are of.
        names: of the bins.
        reference: share of each bin.
        served: likewise.
    """

    feature: str
    state: State
    psi: float
    band: Band
    n: int
    blocks: int
    reference_n: int
    reference_groups: int
    names: tuple[str, ...]
    reference: tuple[float, ...]
    served: tuple[float, ...]

    @property
    def excess(self) -> float:
        """PSI beyond what chance makes of samples of these sizes on average; 0 or more."""
        return max(0.0, self.psi - self.band.mean)


def judge(psi: float, band: Band, params: DriftSection) -> State:
    """Apply the rule: PSI beyond its null band, and beyond its bias by the stated amount."""
    if psi <= band.high:
        return "stable"
    excess = psi - band.mean
    if excess >= params.alarm:
        return "alarm"
    return "watch" if excess >= params.warn else "stable"


def compare(
    reference: Mapping[str, Feature],
    seen: Sequence[tuple[float, str, Seen]],
    classes: tuple[str, ...],
    params: DriftSection,
) -> list[Finding]:
    """Hold what one recognizer saw and said against its reference.

    Features share the level: with K of them each has `level / K` to alarm by chance, so that the
    chance of any false alarm stays at `level` (Bonferroni).

    Args:
        reference: features by name.
        seen: rows or windows with their times and sources.
        classes: names in label order.
        params: thresholds.
    """
    blocks = blocks_of(seen, params.block_s)
    rows = [one for _, _, one in seen]
    rng = np.random.default_rng(params.seed)
    told = {name: values_of(rows, name, classes) for name in reference}
    present = [
        name for name, feature in reference.items()
        if feature.counts.any() and not np.isnan(told[name]).all()
    ]  # fmt: skip
    found = []
    for name in present:
        feature = reference[name]
        values, level = told[name], params.level / len(present)
        known = ~np.isnan(values)
        sizes = np.bincount(blocks[known])
        band = null_band(feature.counts, sizes, level, params.resamples, rng)
        found.append(_finding(name, feature, feature.bins.count(values), sizes, band, params))
    return found


def _finding(
    name: str,
    feature: Feature,
    counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    sizes: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    band: Band,
    params: DriftSection,
) -> Finding:
    groups = feature.counts
    before, now = shares(groups.sum(0)), shares(counts)
    psi, n = float(index(before, now)), int(counts.sum())
    few = n < params.least or len(groups) < params.least_groups
    return Finding(
        name, "too few" if few else judge(psi, band, params), psi, band, n,
        int((sizes > 0).sum()), int(groups.sum()), len(groups), feature.names,
        tuple(before.tolist()), tuple(now.tolist()),
    )  # fmt: skip


def compare_all(
    served: Served, references: Mapping[str, Reference], params: DriftSection
) -> dict[Key, list[Finding]]:
    """Compare every recognizer that spoke and has a reference.

    Args:
        served: what the logs tell.
        references: by recognizer.
        params: thresholds.

    Returns:
        Findings by served model and recognizer; the most drifted feature first.
    """
    found = {}
    for (model, by), seen in sorted(served.seen.items()):
        reference = references.get(by)
        if reference is None:
            continue
        view: View = "rows" if model == by else "clips"
        ranked = compare(reference.view(view), seen, reference.classes, params)
        order = {"alarm": 0, "watch": 1, "stable": 2, "too few": 3}
        found[model, by] = sorted(ranked, key=lambda one: (order[one.state], -one.excess))
    return found
