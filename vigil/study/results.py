"""What the rows of a study reached, and the table of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config
from vigil.evaluation import auc, measure
from vigil.evaluation.scores import scores_of

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """What a row reached.

    Attributes:
        name: of the row.
        aucs: one per seed.
        accuracies: one per seed.
        metrics: of the probabilities averaged over seeds, with intervals; see `measure`.
        within: AUC over the pairs of an event and a normal clip of one scene, of the same mean.
        pairs: how many such pairs there are.
        n: test clips, every clip once.
    """

    name: str
    aucs: list[float]
    accuracies: list[float]
    metrics: dict[str, Any]
    within: float
    pairs: int
    n: int


def result(
    name: str,
    values: Sequence[Probabilities],
    order: Sequence[Mapping[str, Any]],
    config: Config,
) -> Result:
    """Score one row; intervals resample scenes, as clips of one scene resemble each other.

    Args:
        name: of the row.
        values: (N, classes) probabilities of every seed.
        order: the N annotations.
        config: classes and the section `evaluate`.
    """
    scenes = [dict(row) | {"video_id": row["group"]} for row in order]
    scores = scores_of(scenes, np.mean(values, axis=0))
    labels, normal = scores.labels, list(config.classes).index(config.normal_class)
    event = 1 - np.mean(values, axis=0)[:, normal]
    within, pairs = within_groups(event, labels != normal, [row["group"] for row in order])
    return Result(
        name,
        [auc(1 - found[:, normal], labels != normal) for found in values],
        [float((found.argmax(1) == labels).mean()) for found in values],
        measure(scores, config.classes, config.normal_class, config.evaluate),
        within,
        pairs,
        len(labels),
    )


def within_groups(
    scores: NDArray[np.float64], events: NDArray[np.bool_], groups: Sequence[str]
) -> tuple[float, int]:
    """Return the AUC over the pairs that lie in one group, and their number.

    It says how well a threshold of its own would do in every scene; what is missing to 1 is not
    a matter of cameras that differ.

    Args:
        scores: (N,) belief in an event.
        events: (N,) what is true.
        groups: N scenes.

    Returns:
        Share of pairs in the right order (half for a tie), NaN without a pair; number of pairs.
    """
    right, pairs = 0.0, 0
    names = np.asarray(groups)
    for name in np.unique(names):
        inside = names == name
        high, low = scores[inside & events], scores[inside & ~events]
        gap = high[:, None] - low[None]
        right += float((gap > 0).sum() + 0.5 * (gap == 0).sum())
        pairs += gap.size
    return (right / pairs if pairs else float("nan")), pairs


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| | AUC, mean of seeds (least, greatest) | accuracy, mean of seeds "
        "| AUC of the seeds' mean, 95 % interval over scenes | within scenes |",
        "|---|---|---|---|---|",
    ]
    for found in results:
        metric = found.metrics["auc"]
        lines.append(
            f"| {found.name} | {np.mean(found.aucs):.3f} "
            f"({min(found.aucs):.3f}, {max(found.aucs):.3f}) "
            f"| {np.mean(found.accuracies):.3f} "
            f"| {metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}] "
            f"| {found.within:.3f} |"
        )
    return "\n".join(lines) + "\n"
