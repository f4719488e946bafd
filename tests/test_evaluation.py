"""Metrics are right, their intervals honest, and the report has the agreed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.skeletons import config
from vigil import plots
from vigil.evaluation import Scores, auc, confusion, majority, measure, report, wilson

CLASSES = ("normal", "assault", "faint")


def scores(count: int = 60, skill: float = 2.0, seed: int = 0, per_video: int = 3) -> Scores:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    logits = rng.normal(size=(count, 3)) + skill * np.eye(3)[labels]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Scores(labels, p, [f"v{i // per_video}" for i in range(count)])


def test_wilson_matches_published_values() -> None:
    assert wilson(90, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_metrics_agree_with_scikit_learn() -> None:
    from sklearn import metrics as sk

    s = scores()
    found = measure(s, CLASSES, "normal", config().evaluate)
    wanted = {
        "accuracy": sk.accuracy_score(s.labels, s.predicted),
        "macro_f1": sk.f1_score(s.labels, s.predicted, average="macro"),
        "macro_precision": sk.precision_score(s.labels, s.predicted, average="macro"),
        "macro_recall": sk.recall_score(s.labels, s.predicted, average="macro"),
        "auc": sk.roc_auc_score(s.labels != 0, 1 - s.probabilities[:, 0]),
        "f1_faint": sk.f1_score(s.labels == 2, s.predicted == 2),
        "auc_assault": sk.roc_auc_score(s.labels == 1, s.probabilities[:, 1]),
        "recall_faint": sk.recall_score(s.labels == 2, s.predicted == 2),
        "precision_normal": sk.precision_score(s.labels == 0, s.predicted == 0),
    }
    for name, value in wanted.items():
        assert found[name]["value"] == pytest.approx(value), name
    assert (confusion(s, 3) == sk.confusion_matrix(s.labels, s.predicted)).all()


def test_ties_in_a_score_count_half() -> None:
    assert auc(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    assert np.isnan(auc(np.array([1.0]), np.array([True])))


def test_every_metric_has_an_interval_around_its_value() -> None:
    for metric in measure(scores(), CLASSES, "normal", config().evaluate).values():
        assert 0 <= metric["low"] <= metric["value"] <= metric["high"] <= 1
        assert metric["n"] > 0
        assert metric["interval"] in {"wilson", "bootstrap over videos"}


def test_clips_of_one_video_count_as_dependent() -> None:
    """The same clips in fewer videos give a wider interval."""
    params = config().evaluate.model_copy(update={"bootstrap": 400})

    def width(per_video: int) -> float:
        s = scores(120)
        order = np.argsort(s.predicted == s.labels, kind="stable")
        videos = [f"v{i // per_video}" for i in range(120)]
        s = Scores(s.labels[order], s.probabilities[order], videos)
        found = measure(s, CLASSES, "normal", params)["macro_f1"]
        return float(found["high"] - found["low"])

    assert width(12) > 1.5 * width(1)


def test_absent_classes_are_left_out_instead_of_invented() -> None:
    s = scores()
    keep = s.labels != 2
    part = Scores(s.labels[keep], s.probabilities[keep], np.array(s.videos)[keep].tolist())
    found = measure(part, CLASSES, "normal", config().evaluate)
    assert "recall_faint" not in found
    assert "f1_faint" not in found
    assert "auc_faint" not in found


def test_the_majority_answers_the_class_shares() -> None:
    np.testing.assert_allclose(majority([0, 0, 1, 2], 2, 3), [[0.5, 0.25, 0.25]] * 2)


def test_report_is_json_of_the_agreed_form() -> None:
    s = scores()
    cfg = config().model_copy(update={"classes": CLASSES})
    made = report("protogcn", "test", s, {"majority": majority([0, 0, 1], 60, 3)}, cfg)
    made = json.loads(json.dumps(made, allow_nan=False))
    assert {"model", "split", "n", "classes", "metrics", "confusion_matrix", "environment"} <= set(
        made
    )
    assert made["n"] == 60
    assert np.sum(made["confusion_matrix"]) == 60
    assert {"value", "low", "high"} <= set(made["metrics"]["accuracy"])
    assert made["baselines"]["majority"]["auc"]["value"] == 0.5


def test_plots_are_pictures_and_tables(tmp_path: Path) -> None:
    plots.write(tmp_path, scores(), CLASSES, 10)
    for name in ("confusion", "roc", "calibration"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert len((tmp_path / f"{name}.csv").read_text().splitlines()) > 3
    curve = plots.roc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    assert curve.tolist() == [[0, 0], [0, 0.5], [0.5, 1], [1, 1]]
    total = sum(row[2] for row in plots.calibration(scores(), 10))
    assert total == 60
