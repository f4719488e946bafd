"""The page of a report that a person reads first: one HTML file, nothing loaded, no script.

Every name that comes from footage, labels or parameters is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vigil.evaluation.report import PER_CLASS
from vigil.html import document, flat, interval, made_on, pictures, table

_HEADLINES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "auc",
              "average_precision", "ece")  # fmt: skip


def page(report: Mapping[str, Any], plots: Mapping[str, str], strips: Sequence[str]) -> str:
    """Return a report as one HTML page.

    Args:
        report: see `vigil.evaluation.report`.
        plots: addresses (`data:`) of the figures by name.
        strips: addresses of the pictures of `report["mistakes"]`, in their order.
    """
    title = f"{report['model']}: {report['split']}"
    parts = [
        f"<p>{report['n']} clips of {report['n_videos']} videos. In brackets: 95 % intervals, "
        "whole videos resampled.</p>",
        _metrics(report),
        _overfitting(report),
        "<h2>Confusion</h2>",
        _confusion(report),
        pictures(plots),
        "<h2>By class</h2>",
        _by_class(report),
        "<h2>By scene, the least accurate first</h2>",
        _by_group(report),
        _mistakes(report, strips),
        made_on(report["environment"]),
    ]
    return document(title, parts)


def _metrics(report: Mapping[str, Any]) -> str:
    columns = {report["model"]: report["metrics"], **report["baselines"]}
    rows = [[name, *(interval(found, name) for found in columns.values())] for name in _HEADLINES]
    note = (
        "<p><small>auc and average_precision: any event against the normal class. ece: expected "
        "calibration error, 0 is best; small samples raise it. majority and motion: the class "
        "shares, and a linear model on motion statistics, on the same clips.</small></p>"
    )
    return table(["", *columns], rows) + note


def _overfitting(report: Mapping[str, Any]) -> str:
    """Set the splits that training saw beside this one; without any, nothing."""
    if not report["splits"]:
        return ""
    parts = {**report["splits"], "this report": {**report, "role": "never seen in training"}}
    rows = [
        [name, part["role"], f"{part['n']}", interval(part["metrics"], "accuracy"),
         interval(part["metrics"], "macro_f1"), interval(part["metrics"], "auc")]
        for name, part in parts.items()
    ]  # fmt: skip
    header = ["clips", "what they are", "n", "accuracy", "macro_f1", "auc"]
    return "<h2>Over-fitting: clips that training saw</h2>" + table(header, rows)


def _confusion(report: Mapping[str, Any]) -> str:
    classes = report["classes"]
    rows = [
        [f"labeled {name}", *(str(count) for count in row)]
        for name, row in zip(classes, report["confusion_matrix"], strict=True)
    ]
    return table(["", *(f"predicted {name}" for name in classes)], rows)


def _by_class(report: Mapping[str, Any]) -> str:
    rows = [
        [name, str(found["n"]), *(interval(found, kind) for kind in PER_CLASS)]
        for name, found in report["per_class"].items()
    ]
    return table(["class", "n", *PER_CLASS], rows)


def _by_group(report: Mapping[str, Any]) -> str:
    kinds = ("accuracy", "macro_f1", "auc")
    rows = [
        [name, str(found["n"]), str(found["n_videos"]), flat(found["counts"]),
         *(interval(found, kind) for kind in kinds)]
        for name, found in report["per_group"].items()
    ]  # fmt: skip
    return table(["scene", "clips", "videos", "labels", *kinds], rows)


def _mistakes(report: Mapping[str, Any], strips: Sequence[str]) -> str:
    lines = ["<h2>The worst mistakes</h2>"]
    for mistake, address in zip(report["mistakes"], strips, strict=True):
        said = f"said {mistake['predicted']} {mistake['probability']:.0%}, is {mistake['label']}"
        where = f"{mistake['clip_id']}, video {mistake['video_id']}, group {mistake['group']}"
        lines.append(
            f"<figure><figcaption><b>{escape(said)}</b> <small>{escape(where)}</small></figcaption>"
            f'<img alt="{escape(said)}" src="{escape(address)}"></figure>'
        )
    return "\n".join(lines if strips else [*lines, "<p>None.</p>"])
