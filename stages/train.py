"""Train one recognizer, and once more per cross-validation fold; a killed run continues.

Several processes train together under `torchrun --nproc_per_node 2 -m stages.train --model ...`.
"""

from __future__ import annotations

import logging
import shutil
from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.models import processes
from vigil.paths import Paths
from vigil.training import train


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write weights to `models/<model>`, learning curves to `reports/training/<model>`."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    name, folder = arguments.model, paths.model(arguments.model)
    annotations, work = paths.dataset / "annotations.pkl", paths.cache.parent / "train"
    with processes.group():
        first = processes.rank() == 0
        logging.getLogger("vigil.training").setLevel(logging.INFO if first else logging.ERROR)
        log = train(name, config, annotations, folder, work)
        if first:
            curves = paths.reports / "training" / name
            shutil.rmtree(curves, ignore_errors=True)
            shutil.copytree(log / "live/plots/metrics", curves)
        for fold in range(config.dataset.folds):
            if first:
                print(f"train: {name}: fold {fold + 1} of {config.dataset.folds}", flush=True)
            train(name, config, annotations, folder / f"fold_{fold}", work, fold)
    if first:
        print(f"train: {name}: weights in {folder}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
