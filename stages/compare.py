"""Is the second run better or worse than the first on the same clips, or is it noise?

Exit code 0: not worse; 1: worse beyond noise in a deciding metric; 2: the runs cannot be compared.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError, VigilError
from vigil.evaluation.comparing import METRICS, align, compare, mcnemar
from vigil.evaluation.scores import read_scores
from vigil.paths import Paths


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Print each metric of both runs, the difference with its interval, and a verdict."""
    folders = [find(paths, name) for name in (arguments.first, arguments.second)]
    runs = [read_scores(folder / "scores.csv") for folder in folders]
    first, second = align(*runs)
    found = compare(first, second, runs[0][1], config.normal_class, config.evaluate)
    print(f"compare: {len(first.labels)} clips of {len(set(first.videos))} videos; difference is "
          f"{arguments.second} - {arguments.first}")  # fmt: skip
    for row in found:
        gap = f"{row.second - row.first:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        print(f"  {row.metric:18s}{row.first:.3f} -> {row.second:.3f}  {gap}  {row.verdict}")
    test = mcnemar(first, second)
    print(f"  right only in the first {test.only_first}, only in the second {test.only_second}: "
          f"McNemar p = {test.p_value:.3f} (takes clips as independent)")  # fmt: skip
    worse = [row.metric for row in found if row.verdict == "worse" and row.metric in arguments.on]
    if worse:
        raise VigilError(f"compare: {arguments.second}: worse beyond noise in {', '.join(worse)}")


def find(paths: Paths, name: str) -> Path:
    """Return the report folder that `name` means: itself, or that of a model.

    Raises:
        InputError: neither holds a `scores.csv`.
    """
    for folder in (Path(name), paths.reports / name):
        if (folder / "scores.csv").is_file():
            return folder
    raise InputError(f"compare: {name}: expected a model or a folder with scores.csv, got neither")


if __name__ == "__main__":
    deciding = ["accuracy", "macro_f1", "auc"]
    run(
        main,
        __doc__,
        ("first", {"help": "model or report folder to compare with"}),
        ("second", {"help": "model or report folder in question"}),
        ("--on", {"nargs": "+", "choices": METRICS, "default": deciding,
                  "help": "metrics that decide the exit code"}),
    )  # fmt: skip
