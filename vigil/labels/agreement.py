"""How far annotators agree with each other and with gold clips, with intervals.

Only ballots that name a label count, and only the clips that both sides judged. Who takes a
suggestion agrees with the network before agreeing with anybody else, so ballots that accepted one
are left out of the figures of independent votes and reported apart, together with all others.
Intervals are percentiles of a bootstrap over clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.labels.kappa import Floats, accuracy, cohen, fleiss
from vigil.labels.standing import standing
from vigil.labels.votes import Kind, Source, Vote

ACCEPTED = frozenset({Source.ACCEPTED, Source.ACCEPTED_PAGE})
_LEVEL = (2.5, 97.5)
_DEFINED = 0.5  # share of resamples that must be defined for an interval to mean anything

Ratings = Mapping[str, Mapping[str, int]]  # class by annotator by clip
_Figure = Callable[[NDArray[Any], Floats], Floats]


@dataclass(frozen=True)
class Estimate:
    """A figure with a 95 % interval.

    Attributes:
        value: the figure; None where it is not defined (no clip, or only one class).
        low: lower end of the interval; None where there is none.
        high: upper end.
        n: clips it is computed from.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class OnGold:
    """One annotator on gold clips.

    Attributes:
        accuracy: share of them judged right.
        kappa: Cohen's kappa with the gold labels.
    """

    accuracy: Estimate
    kappa: Estimate


@dataclass(frozen=True)
class Figures:
    """Agreement among some ballots.

    Attributes:
        ballots: how many there are.
        clips: on how many clips.
        shared: clips that two or more annotators judged.
        fleiss: Fleiss' kappa of all annotators.
        pairs: Cohen's kappa of each two annotators with a common clip, names in order.
        per_class: Fleiss' kappa of each class against all others.
        class_pairs: Fleiss' kappa of ballots for one of two classes, names in label order: low
            where the two are confused. `n` counts clips with a ballot for either.
        on_gold: by annotator.
    """

    ballots: int
    clips: int
    shared: int
    fleiss: Estimate
    pairs: dict[tuple[str, str], Estimate]
    per_class: dict[str, Estimate]
    class_pairs: dict[tuple[str, str], Estimate]
    on_gold: dict[str, OnGold]


@dataclass(frozen=True)
class Agreement:
    """Agreement of a project's annotators.

    Attributes:
        independent: of ballots that accepted no suggestion.
        everything: of all ballots.
        accepted: how many ballots accepted a suggestion.
    """

    independent: Figures
    everything: Figures
    accepted: int


@dataclass(frozen=True)
class _Bootstrap:
    resamples: int
    seed: int

    def estimate(self, clips: NDArray[Any], figure: _Figure, n: int) -> Estimate:
        """Compute a figure of clips and its interval.

        Clips that were judged alike are drawn together, as often as clips one by one would be.

        Args:
            clips: (N, K) what was said of each.
            figure: of (M, K) distinct rows and (R, M) weights of them.
            n: what is reported as the number of clips.
        """
        if not len(clips):
            return Estimate(None, None, None, n)
        rows, times = np.unique(clips, axis=0, return_counts=True)
        value = float(figure(rows, times[None].astype(float))[0])
        if not np.isfinite(value):
            return Estimate(None, None, None, n)
        rng = np.random.default_rng(self.seed)
        drawn = rng.multinomial(len(clips), times / len(clips), self.resamples)
        values = figure(rows, drawn.astype(float))
        defined = values[np.isfinite(values)]
        if len(clips) < 2 or len(defined) < max(1, _DEFINED * self.resamples):
            return Estimate(value, None, None, n)
        low, high = np.percentile(defined, _LEVEL)
        return Estimate(value, float(low), float(high), n)


def agreement(
    votes: Iterable[Vote],
    classes: Sequence[str],
    gold: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Measure how far the annotators agree.

    Args:
        votes: of any clips and annotators; those for a label that is no class are left out.
        classes: class names in label order.
        gold: known label by clip.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The figures of independent ballots, and of all.
    """
    index = {name: place for place, name in enumerate(classes)}
    ballots = [v for v in standing(list(votes)) if v.kind is Kind.LABEL and v.label in index]
    own = [vote for vote in ballots if vote.source not in ACCEPTED]
    known = {clip: index[label] for clip, label in (gold or {}).items() if label in index}
    boot = _Bootstrap(resamples, seed)
    independent, everything = (
        _figures(ratings(chosen, index), classes, known, boot) for chosen in (own, ballots)
    )
    return Agreement(independent, everything, len(ballots) - len(own))


def ratings(ballots: Iterable[Vote], index: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the class by annotator by clip, clips in order of their ids."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for vote in ballots:
        found[vote.clip_id][vote.annotator] = index[str(vote.label)]
    return {clip: found[clip] for clip in sorted(found)}


def counted(rated: Ratings, classes: int) -> Floats:
    """Return (N, classes): how many annotators gave each class to each clip."""
    table = np.zeros((len(rated), classes))
    for row, given in zip(table, rated.values(), strict=True):
        np.add.at(row, list(given.values()), 1)
    return table


def _figures(
    rated: Ratings, classes: Sequence[str], gold: Mapping[str, int], boot: _Bootstrap
) -> Figures:
    counts = counted(rated, len(classes))
    shared = int((counts.sum(1) >= 2).sum())
    names = sorted({who for given in rated.values() for who in given})
    return Figures(
        ballots=int(counts.sum()),
        clips=len(rated),
        shared=shared,
        fleiss=_fleiss(counts, boot),
        pairs=_pairs(rated, names, len(classes), boot),
        per_class={
            name: _fleiss(np.stack([counts[:, i], counts.sum(1) - counts[:, i]], axis=1), boot)
            for i, name in enumerate(classes)
        },
        class_pairs={
            (classes[i], classes[j]): _fleiss(counts[:, [i, j]], boot)
            for i, j in combinations(range(len(classes)), 2)
        },
        on_gold={name: _on_gold(rated, name, gold, len(classes), boot) for name in names},
    )


def _fleiss(counts: Floats, boot: _Bootstrap) -> Estimate:
    seen = counts[counts.sum(1) > 0]
    return boot.estimate(seen, fleiss, int((seen.sum(1) >= 2).sum()))


def _pairs(
    rated: Ratings, names: Sequence[str], classes: int, boot: _Bootstrap
) -> dict[tuple[str, str], Estimate]:
    found = {}
    for one, other in combinations(names, 2):
        both = [
            (given[one], given[other]) for given in rated.values() if {one, other} <= set(given)
        ]
        if both:
            found[one, other] = _cohen(_said(both), classes, boot)
    return found


def _on_gold(
    rated: Ratings, name: str, gold: Mapping[str, int], classes: int, boot: _Bootstrap
) -> OnGold:
    judged = [
        (given[name], gold[clip]) for clip, given in rated.items() if name in given and clip in gold
    ]
    said = _said(judged)
    right = boot.estimate(
        said, lambda rows, weights: accuracy(rows[:, 0], rows[:, 1], weights), len(said)
    )
    return OnGold(right, _cohen(said, classes, boot))


def _said(judged: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """Return what two said of each clip as (N, 2)."""
    return np.array(judged, np.intp).reshape(-1, 2)


def _cohen(said: NDArray[np.intp], classes: int, boot: _Bootstrap) -> Estimate:
    return boot.estimate(
        said, lambda rows, weights: cohen(rows[:, 0], rows[:, 1], classes, weights), len(said)
    )
