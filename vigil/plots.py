"""Pictures and tables of an evaluation: confusion, ROC, precision and recall, calibration."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.evaluation.metrics import precision_recall, reliability, roc
from vigil.evaluation.scores import Scores, confusion
from vigil.figures import Draw, save_png
from vigil.schema import atomic


def pictures(scores: Scores, config: Config) -> dict[str, Draw]:
    """Return what draws each figure: `confusion`, `roc`, `precision_recall`, `calibration`.

    Args:
        scores: predictions and truth.
        config: classes and the section `evaluate`.
    """
    rows = reliability(scores, config.evaluate)
    return {
        "confusion": partial(_draw_confusion, scores=scores, classes=config.classes),
        "roc": partial(_draw_roc, scores=scores, config=config),
        "precision_recall": partial(_draw_precision_recall, scores=scores, config=config),
        "calibration": partial(_draw_calibration, rows=rows),
    }


def write_pictures(folder: Path, scores: Scores, config: Config) -> None:
    """Write every figure of `pictures` as `<name>.png` into `folder`."""
    for name, draw in pictures(scores, config).items():
        save_png(folder / f"{name}.png", draw)


def write_tables(folder: Path, scores: Scores, config: Config) -> None:
    """Write the tables that `dvc plots` draws; the curves are of any event against normal.

    Args:
        folder: receives `confusion.csv`, `roc.csv`, `precision_recall.csv`, `calibration.csv`.
        scores: predictions and truth.
        config: classes and the section `evaluate`.
    """
    classes = config.classes
    pairs = [(classes[t], classes[p]) for t, p in zip(scores.labels, scores.predicted, strict=True)]
    _table(folder / "confusion.csv", ("actual", "predicted"), pairs)
    normal = classes.index(config.normal_class)
    event = 1.0 - scores.probabilities[:, normal], scores.labels != normal
    rates = ("false_positive_rate", "true_positive_rate")
    _table(folder / "roc.csv", rates, roc(*event).tolist())
    points = precision_recall(*event).tolist()
    _table(folder / "precision_recall.csv", ("recall", "precision"), points)
    header = ("confidence", "accuracy", "low", "high", "n")
    _table(folder / "calibration.csv", header, reliability(scores, config.evaluate))


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic(path) as partial_path, partial_path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _draw_confusion(figure: Any, scores: Scores, classes: Sequence[str]) -> None:
    axes, matrix = figure.add_subplot(), confusion(scores, len(classes))
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    axes.set(xticks=ticks, yticks=ticks, xticklabels=classes, yticklabels=classes,
             xlabel="predicted", ylabel="actual", title=f"{matrix.sum()} clips")  # fmt: skip
    for row, column in np.ndindex(*matrix.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = f"{matrix[row, column]}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=color)


def _curves(scores: Scores, config: Config) -> dict[str, tuple[Any, Any]]:
    """Return score and truth of any event, and where there are several events of each class."""
    normal = config.classes.index(config.normal_class)
    found = {"any event": (1.0 - scores.probabilities[:, normal], scores.labels != normal)}
    if len(config.classes) > 2:
        for index, name in enumerate(config.classes):
            found[name] = scores.probabilities[:, index], scores.labels == index
    return {name: (score, truth) for name, (score, truth) in found.items() if truth.any()}


def _draw_roc(figure: Any, scores: Scores, config: Config) -> None:
    axes = figure.add_subplot()
    for name, curve in _curves(scores, config).items():
        points = roc(*curve)
        axes.plot(points[:, 0], points[:, 1], label=name)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate",
             title="ROC: each against the rest")  # fmt: skip
    axes.legend()


def _draw_precision_recall(figure: Any, scores: Scores, config: Config) -> None:
    axes = figure.add_subplot()
    for name, curve in _curves(scores, config).items():
        points = precision_recall(*curve)
        (line,) = axes.step(points[:, 0], points[:, 1], where="pre", label=name)
        axes.axhline(curve[1].mean(), color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="recall", ylabel="precision",
             title="dotted: share of clips, what guessing gives")  # fmt: skip
    axes.legend()


def _draw_calibration(figure: Any, rows: Sequence[tuple[float, float, float, float, int]]) -> None:
    axes = figure.add_subplot()
    confidence, accuracy, low, high, _ = np.array(rows).T
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    bars = np.stack([accuracy - low, high - accuracy])
    axes.errorbar(confidence, accuracy, yerr=bars, marker="o", capsize=3, linewidth=1)
    for x, y, *_, n in rows:
        axes.annotate(str(n), (x, y), textcoords="offset points", xytext=(5, 5))
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.05), xlabel="confidence", ylabel="accuracy",
             title="calibration; numbers are clips, bars 95 %")  # fmt: skip
