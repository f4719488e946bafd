"""Frame AUC is pooled, its intervals resample videos, and differences are paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.embeddings import CLASSES, timeline
from tests.skeletons import config
from vigil.errors import InputError
from vigil.evaluation import auc
from vigil.evaluation.frames import Pooled, explained, measure_frames, pool, sources
from vigil.frames import FrameTruth, truth_of_events
from vigil.schema import Event, FrameScores

PARAMS = config().evaluate.model_copy(update={"bootstrap": 400})
Video = tuple[FrameScores, FrameTruth]


def video(name: str, scores: np.ndarray, span: tuple[float, float] | None = None) -> Video:
    """Return a video with one score per frame and at most one assault."""
    line = timeline(name, len(scores))
    events = [Event(name, "assault", *span)] if span else []
    p = np.stack([1 - scores, scores * 0.75, scores * 0.25], axis=1).astype(np.float32)
    said = FrameScores(
        name, 640, 360, "test", CLASSES, np.arange(len(scores), dtype=np.int32), line.time_s,
        scores.astype(np.float32), p, np.zeros(len(scores), np.int8),
    )  # fmt: skip
    return said, truth_of_events(line, events, CLASSES, 0)


def joined(videos: list[Video]) -> Pooled:
    return pool([said for said, _ in videos], [truth for _, truth in videos], 0)


def many(skill: float, seed: int = 0, count: int = 12) -> Pooled:
    """Return frames of videos whose scores rise by `skill` during an assault."""
    rng, noise = np.random.default_rng(3), np.random.default_rng(seed)
    found = []
    for index in range(count):
        start = rng.uniform(0, 3)
        level = rng.normal(0, 0.5) + noise.normal(0, 0.6, 48)
        inside = (np.arange(48) / 12 >= start) & (np.arange(48) / 12 < start + 1)
        scores = 1 / (1 + np.exp(-(level + skill * inside)))
        found.append(video(f"v{index}", scores, (start, start + 1) if index % 3 else None))
    return joined(found)


def test_pooled_auc_is_not_the_mean_over_pairs_of_videos() -> None:
    """Scores that rank well within each pair, but mean another thing in every pair.

    The mean of one AUC per pair calls them perfect; one ranking of all frames does not.
    """
    rising = np.where(np.arange(48) < 24, 0.0, 0.1)
    levels = (0.1, 0.3, 0.5, 0.7)
    pairs = [
        [video(f"abnormal {level}", level + rising, (2.0, 4.0)),
         video(f"normal {level}", np.full(48, level))]
        for level in levels
    ]  # fmt: skip
    pooled = joined([one for pair in pairs for one in pair])
    per_pair = [auc(p.score, p.event) for p in (joined(pair) for pair in pairs)]
    found = measure_frames({"system": pooled}, CLASSES, PARAMS)[0]["system"]["auc"]
    assert np.mean(per_pair) == 1.0
    assert found["value"] == pytest.approx(0.625)
    assert found["n"] == 8 * 48


def test_figures_agree_with_scikit_learn_on_all_frames_together() -> None:
    from sklearn import metrics as sk

    pooled = many(1.0)
    found = measure_frames({"system": pooled}, CLASSES, PARAMS)[0]["system"]
    own = pooled.abnormal
    wanted = {
        "auc": sk.roc_auc_score(pooled.event, pooled.score),
        "average_precision": sk.average_precision_score(pooled.event, pooled.score),
        "auc_assault": sk.roc_auc_score(pooled.active[:, 1], pooled.probabilities[:, 1]),
        "auc_abnormal_videos": sk.roc_auc_score(pooled.event[own], pooled.score[own]),
    }
    assert set(found) == set(wanted), "no faint in these videos: its AUC is not invented"
    for name, value in wanted.items():
        assert found[name]["value"] == pytest.approx(value), name
        assert found[name]["low"] <= value <= found[name]["high"]


def test_intervals_resample_whole_videos() -> None:
    pooled = many(1.0)
    alone = replace(pooled, videos=np.arange(len(pooled.videos)))

    def width(frames: Pooled) -> float:
        metric = measure_frames({"s": frames}, CLASSES, PARAMS)[0]["s"]["auc"]
        return float(metric["high"] - metric["low"])

    assert width(pooled) > 1.3 * width(alone)


def test_a_difference_is_that_of_the_same_videos() -> None:
    good, weak = many(2.0, seed=1), many(0.3, seed=2)
    measured, gaps = measure_frames({"good": good, "weak": weak}, CLASSES, PARAMS)
    gap = gaps["good", "weak"]
    assert gap["value"] == pytest.approx(
        measured["good"]["auc"]["value"] - measured["weak"]["auc"]["value"]
    )
    assert gap["low"] > 0
    assert gaps["weak", "good"]["high"] == pytest.approx(-gap["low"])
    same = measure_frames({"one": good, "two": good}, CLASSES, PARAMS)[1]["one", "two"]
    assert (same["low"], same["value"], same["high"]) == (0, 0, 0)


def test_systems_that_judged_other_frames_are_not_compared() -> None:
    with pytest.raises(InputError, match="frames: two: expected the frames of the others"):
        measure_frames({"one": many(1.0), "two": many(1.0, count=11)}, CLASSES, PARAMS)


def test_the_share_that_misses_explain_is_of_the_distance_to_a_perfect_auc() -> None:
    tracked, perfect = many(0.5, seed=1), many(2.0, seed=1)
    found = explained(tracked, perfect, PARAMS)
    before, after = (auc(p.score, p.event) for p in (tracked, perfect))
    assert found["gain"]["value"] == pytest.approx(after - before)
    assert found["share"]["value"] == pytest.approx((after - before) / (1 - before))
    assert 0 < found["share"]["low"] < found["share"]["high"] < 1
    nothing = explained(tracked, tracked, PARAMS)["share"]
    assert (nothing["low"], nothing["value"], nothing["high"]) == (0, 0, 0)


def test_a_perfect_system_has_no_loss_to_explain() -> None:
    best = joined([video("a", np.where(np.arange(48) < 12, 0.1, 0.9), (1.0, 4.0)),
                   video("b", np.full(48, 0.1))])  # fmt: skip
    assert "share" not in explained(best, best, PARAMS)


def test_frames_whose_truth_is_not_known_are_left_out() -> None:
    said, truth = video("a", np.linspace(0, 1, 48), (2.0, 4.0))
    part = replace(truth, known=np.arange(48) < 30)
    pooled = pool([said], [part], 0)
    assert len(pooled.score) == 30
    assert pooled.event.sum() == 6


def test_where_scores_come_from_is_counted() -> None:
    said, truth = video("a", np.linspace(0, 1, 48))
    source = np.repeat([0, 1, 2], [40, 5, 3]).astype(np.int8)
    found = sources(pool([replace(said, source=source)], [truth], 0))
    assert found == {"judged": 40, "carried": 5, "whole_frame": 3}


def test_unusable_frames_are_one_clear_line() -> None:
    said, truth = video("a", np.linspace(0, 1, 48))
    other = video("b", np.linspace(0, 1, 40))
    with pytest.raises(InputError, match="frames: a: expected 48 scores, got 40 of b"):
        pool([other[0]], [truth], 0)
    with pytest.raises(InputError, match="expected scores of at least one video, got none"):
        pool([], [], 0)
    with pytest.raises(InputError, match="at least one frame whose truth is known"):
        pool([said], [replace(truth, known=np.zeros(48, np.bool_))], 0)
    with pytest.raises(InputError, match="frames: a: expected finite scores"):
        pool([replace(said, probabilities=said.probabilities * np.nan)], [truth], 0)
