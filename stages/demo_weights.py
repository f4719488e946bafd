"""Train the demo's networks from nothing on synthetic scenes; a killed run continues.

Images and unfinished work go to `--work`, weights to `--out`. Hours on a CPU, minutes on a GPU: the
options scale every part of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.demo.training import Budget, train_all
from vigil.paths import Paths


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Make the images once, train each network, and put its weights where they ship from."""
    budget = Budget(
        arguments.images,
        arguments.epochs,
        arguments.minutes,
        arguments.scenes,
        arguments.rendered_scenes,
        arguments.crop_scenes,
        arguments.film_scenes,
    )
    train_all(
        arguments.work or paths.cache.parent / "demo_weights",
        arguments.out or paths.root / "vigil" / "demo" / "weights",
        budget,
        arguments.params,
        config.workers or None,
        lambda line: print(f"demo_weights: {line}", flush=True),
    )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--minutes", {"type": float, "default": 120.0, "help": "budget of SAM2, RTMO, CLIP each"}),
        ("--images", {"type": int, "default": 7000, "help": "rendered training images"}),
        ("--epochs", {"type": int, "default": 10, "help": "passes of YOLO11 over the images"}),
        ("--scenes", {"type": int, "default": 4000, "help": "simulated scenes for ProtoGCN"}),
        ("--rendered-scenes", {"type": int, "default": 400, "help": "rendered ones besides"}),
        ("--crop-scenes", {"type": int, "default": 1500, "help": "rendered scenes for CLIP"}),
        (
            "--film-scenes",
            {"type": int, "default": 400, "help": "the same, looked at all the time"},
        ),
        ("--work", {"type": Path, "help": "folder of images and checkpoints"}),
        (
            "--out",
            {"type": Path, "help": "folder of the weights; those that are shipped if absent"},
        ),
    )
