"""Measure one recognizer on clips it has never seen, beside the baselines on the same clips."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from vigil import plots
from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations
from vigil.evaluation import judge, report
from vigil.paths import Paths
from vigil.schema import write_json


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/<model>.json` and plots, and `folds.json` where there are folds."""
    name, folder = arguments.model, paths.model(arguments.model)
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    details = paths.reports / name
    scores, baselines = judge([(folder, None)], splits, rows, config)
    summary = report(name, "test", scores, baselines, config)
    write_json(paths.reports / f"{name}.json", summary)
    plots.write(details, scores, config.classes, config.evaluate.calibration_bins)
    show(summary)
    if config.dataset.folds:
        folds = [(folder / f"fold_{fold}", fold) for fold in range(config.dataset.folds)]
        scores, baselines = judge(folds, splits, rows, config)
        split = f"test parts of {config.dataset.folds} folds, pooled; groups never divided"
        summary = report(name, split, scores, baselines, config)
        write_json(details / "folds.json", summary)
        plots.write(details / "folds", scores, config.classes, config.evaluate.calibration_bins)
        show(summary)


def show(summary: dict[str, Any]) -> None:
    """Print the main metrics with intervals, and the baselines' beside them."""
    print(f"evaluate: {summary['model']}: {summary['split']}: {summary['n']} clips of "
          f"{summary['n_videos']} videos")  # fmt: skip
    columns = {summary["model"]: summary["metrics"], **summary["baselines"]}
    for metric in ("accuracy", "macro_f1", "auc"):
        cells = [
            f"{name} {found[metric]['value']:.3f} "
            f"[{found[metric]['low']:.3f}, {found[metric]['high']:.3f}]"
            for name, found in columns.items() if metric in found
        ]  # fmt: skip
        print(f"  {metric}: " + "; ".join(cells))


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
