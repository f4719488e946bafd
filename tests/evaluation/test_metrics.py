"""Metrics are right, and their intervals honest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.scores import CLASSES, scores
from tests.skeletons import config
from vigil.evaluation import confusion, majority, measure, wilson
from vigil.evaluation.metrics import precision_recall, reliability, roc

PARAMS = config().evaluate.model_copy(update={"bootstrap": 400})


def test_wilson_matches_published_values() -> None:
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_metrics_agree_with_scikit_learn() -> None:
    from sklearn import metrics as sk

    s = scores()
    found = measure(s, CLASSES, "normal", PARAMS)
    event = s.labels != 0, 1 - s.probabilities[:, 0]
    assault = s.labels == 1, s.probabilities[:, 1]
    wanted = {
        "accuracy": sk.accuracy_score(s.labels, s.predicted),
        "macro_f1": sk.f1_score(s.labels, s.predicted, average="macro"),
        "macro_precision": sk.precision_score(s.labels, s.predicted, average="macro"),
        "macro_recall": sk.recall_score(s.labels, s.predicted, average="macro"),
        "auc": sk.roc_auc_score(*event),
        "average_precision": sk.average_precision_score(*event),
        "f1_faint": sk.f1_score(s.labels == 2, s.predicted == 2),
        "auc_assault": sk.roc_auc_score(*assault),
        "average_precision_assault": sk.average_precision_score(*assault),
        "recall_faint": sk.recall_score(s.labels == 2, s.predicted == 2),
        "precision_normal": sk.precision_score(s.labels == 0, s.predicted == 0),
    }
    for name, value in wanted.items():
        assert found[name]["value"] == pytest.approx(value), name
    assert (confusion(s, 3) == sk.confusion_matrix(s.labels, s.predicted)).all()


def test_curves_agree_with_scikit_learn() -> None:
    from sklearn import metrics as sk

    s = scores()
    truth, score = s.labels == 1, np.round(s.probabilities[:, 1], 1)
    false, true, _ = sk.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(roc(score, truth), np.stack([false, true], 1))
    precision, recall, _ = sk.precision_recall_curve(truth, score)
    wanted = np.stack([recall, precision], 1)[::-1][1:]
    np.testing.assert_allclose(precision_recall(score, truth), wanted)


def test_every_metric_has_an_interval_around_its_value() -> None:
    for metric in measure(scores(), CLASSES, "normal", PARAMS).values():
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
        assert metric["n"] > 0
        assert metric["interval"].startswith("bootstrap over videos")


def test_clips_of_one_video_count_as_dependent() -> None:
    """The same clips in fewer videos give a wider interval, of shares as well."""

    def widths(per_video: int) -> list[float]:
        s = scores(120)
        s = s.take(np.argsort(s.predicted == s.labels, kind="stable"))
        videos = [f"v{i // per_video}" for i in range(120)]
        found = measure(replace(s, videos=videos), CLASSES, "normal", PARAMS)
        return [found[name]["high"] - found[name]["low"] for name in ("macro_f1", "accuracy")]

    for wide, narrow in zip(widths(12), widths(1), strict=True):
        assert wide > 1.5 * narrow


def test_a_perfect_share_is_not_certain() -> None:
    """Where every resample is right, Wilson's interval keeps its width."""
    s = scores(30, skill=100.0)
    found = measure(s, CLASSES, "normal", PARAMS)["accuracy"]
    assert (found["value"], found["low"]) == (1.0, pytest.approx(wilson(30, 30)[0]))


def test_absent_classes_are_left_out_instead_of_invented() -> None:
    s = scores()
    found = measure(s.take(np.flatnonzero(s.labels != 2)), CLASSES, "normal", PARAMS)
    for kind in ("recall", "f1", "auc", "average_precision"):
        assert f"{kind}_faint" not in found


def test_the_calibration_error_is_that_of_the_bins() -> None:
    """One bin at 0.75 that is right half the time is off by 0.25."""
    s = scores(40)
    half = np.where(np.arange(40) % 2 == 0, s.labels, (s.labels + 1) % 3)
    p = np.full((40, 3), 0.125)
    p[np.arange(40), half] = 0.75
    s = replace(s, probabilities=p)
    assert measure(s, CLASSES, "normal", PARAMS)["ece"]["value"] == pytest.approx(0.25)
    ((confidence, accuracy, low, high, clips),) = reliability(s, PARAMS)
    assert (confidence, accuracy, clips) == (0.75, 0.5, 40)
    assert low < 0.5 < high


def test_the_majority_answers_the_class_shares() -> None:
    np.testing.assert_allclose(majority([0, 0, 1, 2], 2, 3), [[0.5, 0.25, 0.25]] * 2)
