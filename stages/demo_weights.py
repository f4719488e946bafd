"""Train the demo's four networks from nothing on synthetic scenes; a killed run continues.

Images and unfinished work go to `--work`, weights to `--out`. Hours on a CPU, minutes on a GPU: the
options scale every part of it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.demo.images import make_images
from vigil.errors import VigilError
from vigil.paths import Paths
from vigil.schema import atomic

_VALIDATION_SHARE = 17.5  # training images per held-out one
_SHIPPED = Path("vigil") / "demo" / "weights"


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Make the images once, train each network, and put its weights where they ship from."""
    work = arguments.work or paths.cache.parent / "demo_weights"
    ship = arguments.out or paths.root / _SHIPPED
    ship.mkdir(parents=True, exist_ok=True)
    held_out = max(round(arguments.images / _VALIDATION_SHARE), 1)
    for split, count in (("train", arguments.images), ("val", held_out)):
        images(work / "images" / split, split, count, config.workers or None)
    for name, options in trainings(work, arguments):
        out = work / name
        train([*options, "--out", str(out)])
        weights = ship / f"{name}.safetensors"
        with atomic(weights) as partial:
            shutil.copyfile(out / weights.name, partial)
        print(f"demo_weights: {name}: {weights}, figures in {out}/metrics.json", flush=True)


def trainings(work: Path, arguments: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Return (weights' name, module and options) of every training, in the order they run."""
    data, minutes = ["--data", str(work / "images")], ["--minutes", str(arguments.minutes)]
    return [
        ("yolo11n", ["vigil.demo.train_yolo", *data, "--epochs", str(arguments.epochs)]),
        ("sam2", ["vigil.demo.train_sam2", *data, *minutes]),
        ("rtmo", ["vigil.demo.train_rtmo", *data, *minutes]),
        ("protogcn", ["vigil.demo.train_protogcn", "--params", arguments.params,
                      "--scenes", str(arguments.scenes)]),
    ]  # fmt: skip


def images(folder: Path, split: str, count: int, workers: int | None) -> None:
    """Render the images of one split unless they are there; they appear only when complete."""
    if folder.exists():
        return
    print(f"demo_weights: rendering {count} {split} images", flush=True)
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    make_images(partial, count, seed=1, split=split, workers=workers)
    partial.rename(folder)


def train(command: list[str]) -> None:
    """Run one training as its own process.

    Raises:
        VigilError: it failed; it has said why.
    """
    print(f"demo_weights: {command[0]}", flush=True)
    done = subprocess.run([sys.executable, "-m", *command], check=False)
    if done.returncode:
        raise VigilError(f"demo_weights: {command[0]} ended with exit code {done.returncode}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--minutes", {"type": float, "default": 120.0, "help": "budget of SAM2 and of RTMO each"}),
        ("--images", {"type": int, "default": 7000, "help": "rendered training images"}),
        ("--epochs", {"type": int, "default": 10, "help": "passes of YOLO11 over the images"}),
        ("--scenes", {"type": int, "default": 4000, "help": "simulated scenes for ProtoGCN"}),
        ("--work", {"type": Path, "help": "folder of images and checkpoints"}),
        (
            "--out",
            {"type": Path, "help": "folder of the weights; those that are shipped if absent"},
        ),
    )
