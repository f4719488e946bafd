"""What is told of the windows that the model from pixels to behavior answers.

A window's boxes may have come with earlier answers of its stream, so a few numbers of each are
remembered until its windows are out: when, which track, how sure. No place, no box.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vigil.serving.behaviour.result import Behaviour
from vigil.watching import record
from vigil.watching.features import Features

_MOST = 200_000  # remembered boxes of a stream whose windows never come


class Windows:
    """The answers of one stream, in their order."""

    def __init__(self, recognizers: Sequence[str], classes: Sequence[str]) -> None:
        """Begin.

        Args:
            recognizers: names in the order of the served model's answers.
            classes: names in label order.
        """
        self._recognizers, self._classes = tuple(recognizers), tuple(classes)
        self._rows = np.zeros((0, 4))  # time, track, joints seen, sum of their scores

    def tell(self, found: Behaviour) -> list[dict[str, Any]]:
        """Return what is told of the windows of one answer, an entry per recognizer."""
        scores = found.skeleton[..., 2].astype(np.float64)
        columns = (found.time_s, found.track, (scores > 0).sum(1), scores.sum(1))
        self._rows = np.concatenate([self._rows, np.stack(columns, axis=1)])[-_MOST:]
        features = self._features(found)
        told = []
        for number in range(found.clip_probabilities.shape[1]):
            by = self._recognizers[number] if number < len(self._recognizers) else str(number)
            for window, (start, end) in enumerate(found.clip_s.tolist()):
                own = {name: values[window : window + 1] for name, values in features.items()}
                said = found.clip_probabilities[window : window + 1, number]
                for one in record.seen(by, said, own, self._classes):
                    told.append(one | {"start_s": round(start, 3), "end_s": round(end, 3)})
        if len(found.clip_s):
            self._rows = self._rows[self._rows[:, 0] >= found.clip_s[-1, 0]]
        return told

    def _features(self, found: Behaviour) -> Features:
        """Describe each window as `vigil.watching.features.of_rows` describes a clip."""
        times, tracks, joints, total = self._rows.T
        persons, sure = np.zeros(len(found.clip_s)), np.full(len(found.clip_s), np.nan)
        for window, (start, end) in enumerate(found.clip_s.tolist()):
            inside = (times >= start) & (times < end) & (joints > 0)
            persons[window] = len(np.unique(tracks[inside]))
            if inside.any():
                sure[window] = total[inside].sum() / joints[inside].sum()
        return {"persons": persons, "keypoint_confidence": sure}
