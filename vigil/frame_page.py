"""The report of `vigil.frame_report` on disk: JSON for programs, a page and one ROC for people."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.evaluation.frames import Pooled
from vigil.evaluation.metrics import roc
from vigil.figures import save_png, svg_uri
from vigil.html import document, interval, made_on, pictures, table
from vigil.schema import atomic, write_json, write_text

_POINTS = 2000  # of a ROC curve, so that hours of footage still draw
_SIZE = (7.0, 6.0)  # inches


def write_report(
    folder: Path, found: Mapping[str, Any], pooled: Mapping[str, Pooled]
) -> list[Path]:
    """Write `report.json`, `roc.csv`, `roc.png` and `index.html` into `folder`.

    Args:
        folder: where to write.
        found: see `report`.
        pooled: the test frames of each system.

    Returns:
        What was written.
    """
    curves = {name: _curve(frames) for name, frames in pooled.items() if frames.event.any()}
    labels = {name: f"{name}: {interval(found['systems'][name]['metrics'], 'auc')}"
              for name in curves}  # fmt: skip
    draw = partial(_draw_roc, curves=curves, labels=labels, frames=found["n_frames"])
    paths = [folder / name for name in ("report.json", "roc.csv", "roc.png", "index.html")]
    write_json(paths[0], found)
    _write_curves(paths[1], curves)
    save_png(paths[2], draw, _SIZE)
    write_text(paths[3], page(found, svg_uri(draw, _SIZE)))
    return paths


def _curve(frames: Pooled) -> NDArray[np.float64]:
    """Return at most `_POINTS` points of the ROC curve, both ends among them."""
    points = roc(frames.score, frames.event)
    kept = np.unique(np.linspace(0, len(points) - 1, _POINTS).astype(np.int64))
    return np.asarray(points[kept])


def _write_curves(path: Path, curves: Mapping[str, NDArray[np.float64]]) -> None:
    with atomic(path) as partial_path, partial_path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["system", "false_positive_rate", "true_positive_rate"])
        for name, points in curves.items():
            writer.writerows([name, *map(float, point)] for point in points)


def _draw_roc(
    figure: Any,
    curves: Mapping[str, NDArray[np.float64]],
    labels: Mapping[str, str],
    frames: int,
) -> None:
    axes = figure.add_subplot()
    for name, points in curves.items():
        axes.plot(points[:, 0], points[:, 1], label=labels[name])
    axes.plot([0, 1], [0, 1], color="gray", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate",
             title=f"any event, {frames} frames of all test videos together")  # fmt: skip
    axes.legend(title="pooled AUC [95 %]")


def page(found: Mapping[str, Any], curve: str) -> str:
    """Return the report as one HTML page.

    Args:
        found: see `report`.
        curve: address (`data:`) of the ROC plot.
    """
    title = "Frames: every system on the same test videos"
    minutes = 60 * found["hours"]
    parts = [
        f"<p>{found['n_frames']} frames of {found['n_videos']} videos ({minutes:.1f} min), "
        f"{found['event_frames']} of them in an event; truth from {escape(found['truth'])}. "
        "AUC is over all these frames together. In brackets: 95 % intervals, whole videos "
        "resampled.</p>",
        _ranking(found),
        pictures({"ROC of every system": curve}),
        _differences(found),
        _alarms(found),
        _where_from(found),
        _misses(found),
        made_on(found["environment"]),
    ]
    return document(title, parts)


def _ranking(found: Mapping[str, Any]) -> str:
    figures = ["auc", "average_precision", "auc_abnormal_videos"]
    present = {f for system in found["systems"].values() for f in system["metrics"]}
    figures += sorted(f for f in present if f not in figures)
    rows = [[name, *(interval(system["metrics"], figure) for figure in figures)]
            for name, system in found["systems"].items()]  # fmt: skip
    note = (
        "<p><small>auc: any event against none, by 1 - p(normal). auc_abnormal_videos: the same "
        "over videos that hold an event. auc_&lt;class&gt;: the class's probability against "
        "frames without it.</small></p>"
    )
    return table(["system", *figures], rows) + note


def _differences(found: Mapping[str, Any]) -> str:
    cells = {(d["one"], d["other"]): {"gap": d} for d in found["differences"]}
    names = list(found["systems"])
    rows = [
        [one, *(interval(cells.get((one, other), {}), "gap") for other in names)] for one in names
    ]
    head = "<h2>AUC of the row less that of the column, on the same videos</h2>"
    return head + table(["", *names], rows) if len(names) > 1 else ""


def _alarms(found: Mapping[str, Any]) -> str:
    rows = []
    for name, system in found["systems"].items():
        events = system["events"]
        if events is not None:
            delay = events["median_delay_s"]
            rows.append([
                name, f"{events['threshold']:.3f}", f"{events['found']} of {events['events']}",
                interval(events, "recall"), str(events["false_alarms"]),
                interval(events, "false_alarms_per_hour", 1),
                "–" if delay is None else f"{delay:.1f} s",
            ])  # fmt: skip
    if not rows:
        return "<h2>Alarms</h2><p>No validation video to choose a threshold on.</p>"
    header = ["system", "threshold", "events found", "recall", "false alarms", "per hour",
              "median delay"]  # fmt: skip
    chosen = found["validation"]
    note = (
        f"<p><small>Thresholds were chosen on {chosen['videos']} validation videos "
        f"({60 * chosen['hours']:.1f} min), never on these.</small></p>"
    )
    return "<h2>Alarms</h2>" + table(header, rows) + note


def _where_from(found: Mapping[str, Any]) -> str:
    kinds = list(next(iter(found["systems"].values()))["sources"])
    rows = [[name, *(str(system["sources"][kind]) for kind in kinds)]
            for name, system in found["systems"].items()]  # fmt: skip
    note = (
        "<p><small>carried: nobody was there to judge, the last score fades into the whole "
        "frame's. whole_frame: that alone.</small></p>"
    )
    return (
        "<h2>Frames by where their score comes from</h2>" + table(["system", *kinds], rows) + note
    )


def _misses(found: Mapping[str, Any]) -> str:
    counted = found["misses"]
    if counted is None:
        return ""
    shares = [[name, interval(counted, name), str(value["n"])]
              for name, value in counted.items() if isinstance(value, Mapping)]  # fmt: skip
    text = (
        f"<p>{counted['persons']} persons, {counted['switches']} changes of identity, "
        f"{counted['extra_boxes']} of {counted['boxes']} boxes on nobody.</p>"
    )
    rows = [
        [name, *(interval(system["perfect_boxes"], part)
                 for part in ("tracked", "perfect", "gain", "share"))]
        for name, system in found["systems"].items() if system["perfect_boxes"] is not None
    ]  # fmt: skip
    header = ["system", "AUC", "AUC with the true boxes", "gain", "share of the loss"]
    return (
        "<h2>What missed people cost</h2>" + text + table(["missed", "share", "n"], shares)
        + (table(header, rows) if rows else "")
    )  # fmt: skip
