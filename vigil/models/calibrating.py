"""One temperature per recognizer, learned on its validation clips, so that its probabilities hold.

Networks trained with smoothed labels say less than they know, networks trained for long say more.
Dividing the logits by one number mends either and leaves a single row's order as it is (Guo et
al., 2017, "On Calibration of Modern Neural Networks"). Here it is the most probable temperature: as
clips of one video resemble each other, all of a video's clips together count as one observation,
and a priori the temperature is log-normal around 1, so few videos move it little. (scikit-learn's
temperature has no prior, and knows nothing of clips whose answer is pooled from several rows.)
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from torch import Tensor

from vigil.models.inference import answers
from vigil.models.store import ModelSpec, build

_LOG = logging.getLogger("vigil.training")
_SPREAD = math.log(2)  # of its logarithm a priori: two of three are between a half and 2
_FURTHEST = math.log(20)
_LEAST = 1e-7  # of a probability whose logarithm is taken


def calibrated(
    spec: ModelSpec, state: Mapping[str, Tensor], rows: Sequence[Mapping[str, Any]]
) -> ModelSpec:
    """Return the spec with the temperature that fits clips the weights have not learned from.

    Args:
        spec: the recognizer's, its temperature 1.
        state: its weights as they are saved.
        rows: N validation annotations, at least one.
    """
    recognizer = build(spec)
    recognizer.load_state_dict(state)
    batch = spec.reads.batch(rows)
    logits = answers(recognizer.inference_graph(), batch)[1].astype(np.float64)
    labels = [int(row["label"]) for row in rows]
    videos = Counter(row["video_id"] for row in rows)
    weights = np.array([1 / videos[row["video_id"]] for row in rows])

    def loss(temperature: float) -> float:
        said = spec.reads.settle(softmax(logits / temperature, axis=1), batch.owner, len(rows))
        right = said[np.arange(len(rows)), labels]
        return float(-np.log(np.clip(right, _LEAST, 1.0)) @ weights)

    found = most_probable(loss)
    before, after = (loss(value) / len(videos) for value in (1.0, found))
    _LOG.info(
        "calibrated on %d validation clips of %d videos: temperature %.3f, log loss %.3f to %.3f",
        len(rows), len(videos), found, before, after,
    )  # fmt: skip
    return replace(spec, temperature=found)


def most_probable(loss: Callable[[float], float]) -> float:
    """Return the temperature between 1/20 and 20 that is most probable.

    Args:
        loss: from a temperature to the negative log-likelihood, summed over observations.
    """

    def negative_log_posterior(log: float) -> float:
        return loss(math.exp(log)) + 0.5 * (log / _SPREAD) ** 2

    bounds = (-_FURTHEST, _FURTHEST)
    return math.exp(minimize_scalar(negative_log_posterior, bounds=bounds, method="bounded").x)
