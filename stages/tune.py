"""Search learning rate, width and augmentation of one recognizer; a killed search continues."""

from __future__ import annotations

import logging
from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.tuning import command, outside, tune, write_table

_FIRST = "trial 0 is what params.yaml says"


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/tune/<model>.csv` and print the best trials with the command to run one."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    name, metric = arguments.model, config.tune.metric
    tried = tune(
        name, config, paths.dataset / "annotations.pkl", paths.cache.parent / "tune",
        lambda line: print(f"tune: {name}: {line}", flush=True),
    )  # fmt: skip
    table = paths.reports / "tune" / f"{name}.csv"
    write_table(table, tried, metric)
    print(f"{'trial':>5}  {metric:>8}  {'seconds':>7}  parameters (validation clips)")
    for one in tried[:10]:
        shown = ", ".join(f"{parameter} {value}" for parameter, value in one.values.items())
        print(f"{one.number:5}  {one.value:8.4f}  {one.seconds:7.0f}  {shown}")
    missing = ", ".join(f"{key} {value}" for key, value in outside(name, config).items())
    first = f"the space leaves out params.yaml's {missing}" if missing else _FIRST
    print(f"tune: {name}: {len(tried)} trials in {table}; {first}")
    print(command(name, tried[0].values))


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
