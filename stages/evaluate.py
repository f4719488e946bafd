"""Measure one recognizer on clips it has never seen, beside the baselines on the same clips."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.reporting import evaluate, show


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/<model>.json` and the page, scores and plots beside it."""
    name = arguments.model
    for summary in evaluate(name, paths.model(name), config, paths):
        print(show(summary))
    print(f"evaluate: look at {(paths.reports / name / 'index.html').relative_to(paths.root)}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
    )
