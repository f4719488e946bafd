"""The page of a report that a person reads first: one HTML file, nothing loaded, no script.

Every name that comes from footage, labels or parameters is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from vigil.evaluation.report import PER_CLASS

_HEADLINES = ("accuracy", "macro_precision", "macro_recall", "macro_f1", "auc",
              "average_precision", "ece")  # fmt: skip
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1f24; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #d9dce1; text-align: right; }
th:first-child, td:first-child { text-align: left; }
small { color: #5d6470; }
.plots img { width: 24%; min-width: 15rem; }
figure { margin: 0 0 1rem; }
figure img { max-width: 100%; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


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
        _plots(plots),
        "<h2>By class</h2>",
        _by_class(report),
        "<h2>By scene, the least accurate first</h2>",
        _by_group(report),
        _mistakes(report, strips),
        "<h2>Made on</h2>",
        _table(["", ""], [[name, _flat(value)] for name, value in report["environment"].items()]),
    ]
    return _PAGE.substitute(title=escape(title), body="\n".join(part for part in parts if part))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; every cell is plain text and escaped here."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f"<table>\n{line(header, 'th')}\n{body}\n</table>"


def _cell(metrics: Mapping[str, Any], name: str) -> str:
    if name not in metrics:
        return "–"
    found = metrics[name]
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return str(value)


def _metrics(report: Mapping[str, Any]) -> str:
    columns = {report["model"]: report["metrics"], **report["baselines"]}
    rows = [[name, *(_cell(found, name) for found in columns.values())] for name in _HEADLINES]
    note = (
        "<p><small>auc and average_precision: any event against the normal class. ece: expected "
        "calibration error, 0 is best; small samples raise it. majority and motion: the class "
        "shares, and a linear model on motion statistics, on the same clips.</small></p>"
    )
    return _table(["", *columns], rows) + note


def _overfitting(report: Mapping[str, Any]) -> str:
    """Set the splits that training saw beside this one; without any, nothing."""
    if not report["splits"]:
        return ""
    parts = {**report["splits"], "this report": {**report, "role": "never seen in training"}}
    rows = [
        [name, part["role"], f"{part['n']}", _cell(part["metrics"], "accuracy"),
         _cell(part["metrics"], "macro_f1"), _cell(part["metrics"], "auc")]
        for name, part in parts.items()
    ]  # fmt: skip
    header = ["clips", "what they are", "n", "accuracy", "macro_f1", "auc"]
    return "<h2>Over-fitting: clips that training saw</h2>" + _table(header, rows)


def _confusion(report: Mapping[str, Any]) -> str:
    classes = report["classes"]
    rows = [
        [f"labeled {name}", *(str(count) for count in row)]
        for name, row in zip(classes, report["confusion_matrix"], strict=True)
    ]
    return _table(["", *(f"predicted {name}" for name in classes)], rows)


def _plots(plots: Mapping[str, str]) -> str:
    images = "\n".join(
        f'<img alt="{escape(name)}" src="{escape(address)}">' for name, address in plots.items()
    )
    return f'<div class="plots">\n{images}\n</div>'


def _by_class(report: Mapping[str, Any]) -> str:
    rows = [
        [name, str(found["n"]), *(_cell(found, kind) for kind in PER_CLASS)]
        for name, found in report["per_class"].items()
    ]
    return _table(["class", "n", *PER_CLASS], rows)


def _by_group(report: Mapping[str, Any]) -> str:
    kinds = ("accuracy", "macro_f1", "auc")
    rows = [
        [name, str(found["n"]), str(found["n_videos"]), _flat(found["counts"]),
         *(_cell(found, kind) for kind in kinds)]
        for name, found in report["per_group"].items()
    ]  # fmt: skip
    return _table(["scene", "clips", "videos", "labels", *kinds], rows)


def _mistakes(report: Mapping[str, Any], strips: Sequence[str]) -> str:
    lines = ["<h2>The worst mistakes</h2>"]
    for mistake, address in zip(report["mistakes"], strips, strict=True):
        said = f"said {mistake['predicted']} {mistake['probability']:.0%}, is {mistake['label']}"
        where = f"{mistake['clip_id']}, video {mistake['video_id']}, scene {mistake['group']}"
        lines.append(
            f"<figure><figcaption><b>{escape(said)}</b> <small>{escape(where)}</small></figcaption>"
            f'<img alt="{escape(said)}" src="{escape(address)}"></figure>'
        )
    return "\n".join(lines if strips else [*lines, "<p>None.</p>"])
