"""Controls: changes of the test clips that must not change how good a recognizer is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.errors import InputError
from vigil.evaluation import auc, predict

SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Rolled:
    """The AUC of any event against normal after rolling every clip by a share of its time.

    Attributes:
        share: of the clip's time by which its end came to its beginning.
        auc: after rolling.
        difference: `auc` less the AUC of the clips as they are.
        low: lower end of the difference's 95 % interval, resampled by video.
        high: upper end.
    """

    share: float
    auc: float
    difference: float
    low: float
    high: float

    @property
    def within_noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0.0 <= self.high


def roll(rows: Sequence[dict[str, Any]], share: float) -> list[dict[str, Any]]:
    """Return annotations whose clips begin `share` of their time earlier, the end put before.

    Args:
        rows: annotations with `keypoint` (M, n, 17, 2) and `keypoint_score` (M, n, 17); their
            embeddings, where there are any, go with them.
        share: in [0, 1].
    """
    rolled = []
    for row in rows:
        step = round(share * row["keypoint_score"].shape[1])
        moved = {name: np.roll(row[name], step, axis=1) for name in ("keypoint", "keypoint_score")}
        if "embedding" in row:
            length_s = row["end_s"] - row["start_s"]
            since_s = row["token_time_s"] - row["start_s"] + share * length_s
            moved["token_time_s"] = row["start_s"] + since_s % length_s
        rolled.append(row | moved)
    return rolled


def position_bias(
    folder: Path, rows: Sequence[dict[str, Any]], config: Config, shares: Sequence[float] = SHARES
) -> list[Rolled]:
    """Measure whether it matters to a recognizer when in the clip something happens.

    Args:
        folder: a trained model's folder.
        rows: test annotations, events and normal ones.
        config: classes, `dataset`, and the resamples of `evaluate`.
        shares: by how much to roll.

    Returns:
        One figure per share, with a paired bootstrap interval over videos.

    Raises:
        InputError: clips of one kind only, of which there is no AUC.
    """
    normal = config.classes.index(config.normal_class)
    event = np.array([row["label"] != normal for row in rows], bool)
    if len(set(event.tolist())) < 2:
        raise InputError("controls: expected events and normal clips, got one kind only")
    videos = np.array([row["video_id"] for row in rows])
    members = [np.flatnonzero(videos == name) for name in np.unique(videos)]
    rng = np.random.default_rng(config.evaluate.seed)
    draws = [
        np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        for _ in range(config.evaluate.bootstrap)
    ]
    plain = 1.0 - predict(folder, rows)[:, normal]
    found = []
    for share in shares:
        moved = 1.0 - predict(folder, roll(rows, share))[:, normal]
        noise = np.array([auc(moved[d], event[d]) - auc(plain[d], event[d]) for d in draws])
        low, high = np.nanpercentile(noise, [2.5, 97.5])
        value = auc(moved, event)
        found.append(Rolled(share, value, value - auc(plain, event), float(low), float(high)))
    return found
