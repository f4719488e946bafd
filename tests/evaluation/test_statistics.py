"""All resamples at once give what a loop over resamples gives, and fast."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.scores import CLASSES, scores
from tests.skeletons import config
from vigil.evaluation import auc, measure
from vigil.evaluation.statistics import ones, resamples, statistics


def test_ties_in_a_score_count_half() -> None:
    assert auc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert np.isnan(auc(np.array([1.0]), np.array([True])))


def test_a_weighting_is_the_same_as_repeating_the_clips() -> None:
    s = scores()
    (weights,) = resamples(s.videos, 20, 0)
    at_once = statistics(s, CLASSES, "normal", 10, weights)
    for draw, row in enumerate(weights.astype(int)):
        part = s.take(np.repeat(np.arange(60), row))
        for name, value in statistics(part, CLASSES, "normal", 10, ones(part)).items():
            assert at_once[name][draw] == pytest.approx(value[0], nan_ok=True), name


def test_resamples_draw_whole_videos_as_many_as_there_are() -> None:
    videos = ["a", "b", "a", "c", "b", "a"]
    (weights,) = resamples(videos, 50, 0)
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()
    assert len(np.unique(weights, axis=0)) > 5


def test_many_clips_are_drawn_in_parts_that_fit_into_memory() -> None:
    sizes = [len(weights) for weights in resamples(["v"] * 3_000_000, 3, 0)]
    assert sizes == [1, 1, 1]


def test_two_thousand_resamples_take_under_a_second() -> None:
    params = config().evaluate.model_copy(update={"bootstrap": 2000})
    start = time.process_time()
    measure(scores(151, per_video=1), CLASSES, "normal", params)
    assert time.process_time() - start < 1.0
