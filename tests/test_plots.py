"""Figures are pictures, tables are what `dvc plots` draws, and any name can stand in them."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from tests.scores import scores
from tests.skeletons import config
from vigil import plots
from vigil.evaluation.metrics import roc
from vigil.figures import svg_uri
from vigil.schema import read_csv

CONFIG = config().model_copy(update={"classes": ("normal", "폭행 $x_$", "a<b & c")})


def test_every_figure_is_a_picture(tmp_path: Path) -> None:
    plots.write_pictures(tmp_path, scores(), CONFIG)
    found = {path.name: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    names = ("confusion", "roc", "precision_recall", "calibration")
    assert found == {f"{name}.png": b"\x89PNG" for name in names}


def test_a_class_that_is_absent_has_no_curve_and_breaks_nothing(tmp_path: Path) -> None:
    s = scores()
    plots.write_pictures(tmp_path, s.take(np.flatnonzero(s.labels != 2)), CONFIG)
    plots.write_tables(tmp_path, s.take(np.flatnonzero(s.labels == 0)), CONFIG)


@pytest.mark.parametrize("name", ["confusion", "roc"])
def test_names_stand_in_an_svg_as_they_are(name: str) -> None:
    address = svg_uri(plots.pictures(scores(), CONFIG)[name])
    text = base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode()
    assert "폭행 $x_$" in text
    assert "a&lt;b &amp; c" in text


def test_the_same_scores_give_the_same_bytes() -> None:
    first, second = (svg_uri(plots.pictures(scores(), CONFIG)["roc"]) for _ in range(2))
    assert first == second


def test_tables_hold_the_curves_of_any_event(tmp_path: Path) -> None:
    s = scores()
    plots.write_tables(tmp_path, s, CONFIG)
    columns = ("false_positive_rate", "true_positive_rate")
    points = [[float(row[c]) for c in columns] for row in read_csv(tmp_path / "roc.csv", columns)]
    np.testing.assert_allclose(points, roc(1 - s.probabilities[:, 0], s.labels != 0))
    assert len(read_csv(tmp_path / "confusion.csv", ("actual", "predicted"))) == 60
    rows = read_csv(tmp_path / "calibration.csv", ("confidence", "accuracy", "low", "high", "n"))
    assert sum(int(row["n"]) for row in rows) == 60
    assert all(float(r["low"]) <= float(r["accuracy"]) <= float(r["high"]) for r in rows)
    assert len(read_csv(tmp_path / "precision_recall.csv", ("recall", "precision"))) > 3
