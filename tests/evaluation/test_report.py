"""The report has the agreed form, and tells classes, scenes, splits and mistakes apart."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.scores import CLASSES, scores
from tests.skeletons import config
from vigil.evaluation import Scores, majority, report

CONFIG = config().model_copy(update={"classes": CLASSES})


def made(s: Scores) -> dict[str, Any]:
    known = {"train": scores(30, skill=9.0), "val": scores(20, seed=3)}
    summary = report("protogcn", "test", s, {"majority": majority([0, 0, 1], 60, 3)}, known, CONFIG)
    loaded: dict[str, Any] = json.loads(json.dumps(summary, allow_nan=False))
    return loaded


def test_it_is_json_of_the_agreed_form() -> None:
    found = made(scores())
    assert {"model", "split", "n", "classes", "metrics", "confusion_matrix", "environment"} <= set(
        found
    )
    assert found["n"] == 60
    assert np.sum(found["confusion_matrix"]) == 60
    assert {"value", "low", "high"} <= set(found["metrics"]["accuracy"])
    assert found["baselines"]["majority"]["auc"]["value"] == 0.5


def test_splits_that_training_saw_are_reported_and_named_so() -> None:
    splits = made(scores())["splits"]
    assert [(name, part["n"]) for name, part in splits.items()] == [("train", 30), ("val", 20)]
    assert splits["train"]["metrics"]["accuracy"]["value"] == 1.0
    assert "learned from" in splits["train"]["role"]
    assert {"auc", "average_precision", "ece", "macro_f1"} <= set(splits["val"]["metrics"])


def test_classes_and_scenes_have_figures_of_their_own() -> None:
    s = scores()
    found = made(s)
    assert found["per_class"]["faint"]["n"] == (s.labels == 2).sum()
    assert found["per_class"]["faint"]["f1"] == found["metrics"]["f1_faint"]
    groups = found["per_group"]
    assert sum(part["n"] for part in groups.values()) == 60
    hall = np.flatnonzero(np.array(s.groups) == "hall2")
    right = (s.predicted == s.labels)[hall].mean()
    assert groups["hall2"]["accuracy"]["value"] == right
    assert sum(groups["hall2"]["counts"].values()) == groups["hall2"]["n"] == 15
    order = [part["accuracy"]["value"] for part in groups.values()]
    assert order == sorted(order)


def test_mistakes_are_the_wrong_ones_and_the_surest_come_first() -> None:
    s = scores(skill=0.5)
    found = made(s)["mistakes"]
    place = {clip: i for i, clip in enumerate(s.clips)}
    rows = [place[mistake["clip_id"]] for mistake in found]
    assert len(rows) == CONFIG.evaluate.mistakes
    assert all(s.predicted[i] != s.labels[i] for i in rows)
    truth = s.probabilities[np.arange(60), s.labels]
    assert list(truth[rows]) == sorted(truth[s.predicted != s.labels])[:20]
    assert found[0]["label"] == CLASSES[s.labels[rows[0]]]
    assert found[0]["probability"] == s.probabilities[rows[0]].max()
