"""Pictures and tables of an evaluation: confusion matrix, ROC curves, calibration."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.evaluation import Scores, confusion
from vigil.schema import atomic


def write(folder: Path, scores: Scores, classes: Sequence[str], bins: int) -> None:
    """Write three pictures and, for `dvc plots`, the three tables they are drawn from.

    Args:
        folder: receives `confusion`, `roc` and `calibration`, each `.png` and `.csv`.
        scores: predictions and truth.
        classes: class names in label order.
        bins: bins of the calibration.
    """
    matrix = confusion(scores, len(classes))
    pairs = [(classes[t], classes[p]) for t, p in zip(scores.labels, scores.predicted, strict=True)]
    _table(folder / "confusion.csv", ("actual", "predicted"), pairs)
    curves = {
        name: roc(scores.probabilities[:, index], scores.labels == index)
        for index, name in enumerate(classes)
    }
    points = [(name, *point) for name, curve in curves.items() for point in curve.tolist()]
    _table(folder / "roc.csv", ("class", "false_positive_rate", "true_positive_rate"), points)
    reliability = calibration(scores, bins)
    _table(folder / "calibration.csv", ("confidence", "accuracy", "n"), reliability)
    _draw_confusion(folder / "confusion.png", matrix, classes)
    _draw_roc(folder / "roc.png", curves)
    _draw_calibration(folder / "calibration.png", reliability)


def roc(scores: NDArray[Any], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (points, 2) false and true positive rates from (0, 0) to (1, 1), ties joined."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits, misses = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    rates = np.stack([misses / max((~truth).sum(), 1), hits / max(truth.sum(), 1)], axis=1)
    return np.vstack([[0.0, 0.0], rates])


def calibration(scores: Scores, bins: int) -> list[tuple[float, float, int]]:
    """Return mean confidence, accuracy and clips of every bin that holds any."""
    confidence = scores.probabilities.max(1)
    right = scores.predicted == scores.labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (float(confidence[place == i].mean()), float(right[place == i].mean()),
         int((place == i).sum()))
        for i in range(bins) if (place == i).any()
    ]  # fmt: skip


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _figure() -> tuple[Any, Any]:
    """Return a figure that needs no display, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    with atomic(path) as partial:
        figure.savefig(partial, format="png", metadata={"Software": None})


def _draw_confusion(path: Path, matrix: NDArray[np.int64], classes: Sequence[str]) -> None:
    figure, axes = _figure()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(classes))
    axes.set(xticks=ticks, yticks=ticks, xticklabels=classes, yticklabels=classes,
             xlabel="predicted", ylabel="actual", title=f"{matrix.sum()} clips")  # fmt: skip
    for row, column in np.ndindex(*matrix.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = f"{matrix[row, column]}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=color)
    _save(figure, path)


def _draw_roc(path: Path, curves: dict[str, NDArray[np.float64]]) -> None:
    figure, axes = _figure()
    for name, curve in curves.items():
        axes.plot(curve[:, 0], curve[:, 1], label=name)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title("each class against the rest")
    axes.legend()
    _save(figure, path)


def _draw_calibration(path: Path, reliability: list[tuple[float, float, int]]) -> None:
    figure, axes = _figure()
    confidence, accuracy, _ = zip(*reliability, strict=True)
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.plot(confidence, accuracy, marker="o")
    for x, y, n in reliability:
        axes.annotate(str(n), (x, y), textcoords="offset points", xytext=(5, 5))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.05), xlabel="confidence", ylabel="accuracy",
             title="calibration; numbers are clips")  # fmt: skip
    _save(figure, path)
