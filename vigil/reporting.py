"""From trained weights to a report on disk: the same for one recognizer and for an ensemble.

`<reports>/<name>.json` is for programs, `<reports>/<name>/index.html` for people,
`<reports>/<name>/scores.csv` for `stages.compare`, `<reports>/metrics/<name>.json` for
`dvc metrics` and `<reports>/plots/<name>/` for `dvc plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vigil import plots
from vigil.config import Config
from vigil.dataset import read_annotations
from vigil.ensemble import Trained, at_fold
from vigil.evaluation import judge, report, seen
from vigil.evaluation.scores import Scores, write_scores
from vigil.figures import svg_uri
from vigil.mistakes import strip_uri, write_sheet
from vigil.page import page
from vigil.paths import Paths
from vigil.schema import write_json, write_text


def evaluate(name: str, trained: Trained, config: Config, paths: Paths) -> list[dict[str, Any]]:
    """Measure `trained` on the test split, and pooled over the folds where there are any.

    Args:
        name: what its reports are called.
        trained: a model's folder, or an ensemble's folders and weights.
        config: all parameters.
        paths: of the project; the annotation file must be there.

    Returns:
        The reports written: of the test split, then of the folds.

    Raises:
        InputError: an unreadable annotation file, or no test clip.
        ModelError: weights that are missing or do not fit together.
    """
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    details = paths.reports / name
    scores, baselines = judge([(trained, None)], splits, rows, config)
    known = seen(trained, splits, rows, config)
    summaries = [report(name, "test", scores, baselines, known, config)]
    write_json(paths.reports / f"{name}.json", summaries[0])
    write_json(paths.reports / "metrics" / f"{name}.json", brief(summaries[0]))
    plots.write_tables(paths.reports / "plots" / name, scores, config)
    write_details(details, summaries[0], scores, rows, config)
    if config.dataset.folds:
        folds = [(at_fold(trained, fold), fold) for fold in range(config.dataset.folds)]
        scores, baselines = judge(folds, splits, rows, config)
        split = f"test parts of {config.dataset.folds} folds, pooled; groups never divided"
        summaries.append(report(name, split, scores, baselines, {}, config))
        write_json(details / "folds.json", summaries[1])
        write_details(details / "folds", summaries[1], scores, rows, config)
    return summaries


def brief(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the few values of a report that `dvc metrics` and `dvc exp show` have columns for."""
    parts = {"": summary, **{f"{name}_": part for name, part in summary["splits"].items()}}
    values = {
        f"{prefix}{metric}": part["metrics"][metric]["value"]
        for prefix, part in parts.items()
        for metric in ("accuracy", "macro_f1", "auc", "average_precision", "ece")
        if metric in part["metrics"]
    }
    return {"n": summary["n"], **values}


def write_details(
    folder: Path,
    summary: Mapping[str, Any],
    scores: Scores,
    rows: Sequence[Mapping[str, Any]],
    config: Config,
) -> None:
    """Write the page, the scores, the figures and the contact sheet of one report.

    Args:
        folder: where to write.
        summary: the report.
        scores: what it was made of.
        rows: annotations that hold its clips.
        config: classes, the sections `evaluate` and `dataset`.
    """
    by_id = {row["frame_dir"]: row for row in rows}
    persons = config.dataset.max_persons
    write_scores(folder / "scores.csv", scores, config.classes)
    plots.write_pictures(folder, scores, config)
    write_sheet(folder / "mistakes.png", summary["mistakes"], by_id, persons)
    figures = {name: svg_uri(draw) for name, draw in plots.pictures(scores, config).items()}
    strips = [strip_uri(by_id[mistake["clip_id"]], persons) for mistake in summary["mistakes"]]
    write_text(folder / "index.html", page(summary, figures, strips))


def show(summary: Mapping[str, Any]) -> str:
    """Return the main metrics with intervals, the baselines' beside them, as text."""
    lines = [
        f"evaluate: {summary['model']}: {summary['split']}: {summary['n']} clips of "
        f"{summary['n_videos']} videos"
    ]
    columns = {summary["model"]: summary["metrics"], **summary["baselines"]}
    for metric in ("accuracy", "macro_f1", "auc"):
        cells = [
            f"{name} {found[metric]['value']:.3f} "
            f"[{found[metric]['low']:.3f}, {found[metric]['high']:.3f}]"
            for name, found in columns.items() if metric in found
        ]  # fmt: skip
        lines.append(f"  {metric}: " + "; ".join(cells))
    for name, part in summary["splits"].items():
        lines.append(f"  accuracy on {name}: {part['metrics']['accuracy']['value']:.3f}, "
                     f"{part['role']}")  # fmt: skip
    return "\n".join(lines)
