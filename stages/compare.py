"""Is the second recipe better or worse than the first on the same clips, or is it noise?

Either is one training or several from different seeds, joined by commas.

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
    """Print each metric of both recipes, the difference with its interval, and a verdict."""
    folders = [
        [find(paths, name).resolve() for name in side.split(",")]
        for side in (arguments.first, arguments.second)
    ]
    for side in folders:
        if len(set(side)) < len(side):
            raise InputError("compare: expected each training of a recipe once, got one twice")
    read = [read_scores(folder / "scores.csv") for side in folders for folder in side]
    runs = align(*read)
    first, second = runs[: len(folders[0])], runs[len(folders[0]) :]
    found = compare(first, second, read[0][1], config.normal_class, config.evaluate)
    print(f"compare: {len(runs[0].labels)} clips of {len(set(runs[0].videos))} videos; "
          f"difference is {arguments.second} - {arguments.first}")  # fmt: skip
    for row in found:
        gap = f"{row.second - row.first:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"
        print(f"  {row.metric:18s}{row.first:.3f} -> {row.second:.3f}  {gap}  {row.verdict}")
    if len(runs) == 2:
        test = mcnemar(*runs)
        parted = f"right only in the first {test.only_first}, only in the second {test.only_second}"
        print(f"  {parted}: McNemar p = {test.p_value:.3f} (takes clips as independent)")
    _tell_trainings(len(first), len(second))
    worse = [row.metric for row in found if row.verdict == "worse" and row.metric in arguments.on]
    if worse:
        raise VigilError(f"compare: {arguments.second}: worse beyond noise in {', '.join(worse)}")


def _tell_trainings(first: int, second: int) -> None:
    """Say whose spread the intervals hold: a recipe trained once may owe much to its seed."""
    counts = f"trainings: {first} of the first recipe, {second} of the second"
    if min(first, second) > 1:
        print(f"  {counts}; values are means, intervals are over videos and trainings")
    else:
        print(f"  {counts}: intervals do not hold what another seed would change where there is 1")


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
        ("first", {"help": "model or report folder to compare with; several, joined by commas, "
                           "are one recipe trained from several seeds"}),
        ("second", {"help": "model or report folder in question, or several"}),
        ("--on", {"nargs": "+", "choices": METRICS, "default": deciding,
                  "help": "metrics that decide the exit code"}),
    )  # fmt: skip
