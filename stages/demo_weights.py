"""Train the demo's five networks from nothing on synthetic scenes; a killed run continues.

Images go to `.vigil/demo_weights`, weights to `vigil/demo/weights`. Hours on a CPU, minutes on a
GPU; `--minutes` scales the three time-budgeted trainings.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.demo.clip_data import make_crops
from vigil.demo.images import make_images
from vigil.errors import VigilError
from vigil.paths import Paths

TRAIN_IMAGES, VAL_IMAGES = 7000, 400
TRAIN_SCENES, VAL_SCENES = 1500, 80  # whose crops CLIP learns from
SHIPPED = Path("vigil") / "demo" / "weights"


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Make the images once, train each network, and put its weights where they ship from."""
    work = paths.cache.parent / "demo_weights"
    for split, count in (("train", TRAIN_IMAGES), ("val", VAL_IMAGES)):
        images(work / "images" / split, split, count, config.workers or None)
    for split, count in (("train", TRAIN_SCENES), ("val", VAL_SCENES)):
        if not (work / "crops" / split / "crops.npz").exists():
            make_crops(work / "crops" / split, count, 2, split, config.workers or None)
    data, minutes = ["--data", str(work / "images")], ["--minutes", str(arguments.minutes)]
    for name, options in (
        ("yolo11n", ["vigil.demo.train_yolo", *data]),
        ("sam2", ["vigil.demo.train_sam2", *data, *minutes]),
        ("rtmo", ["vigil.demo.train_rtmo", *data, *minutes]),
        ("clip", ["vigil.demo.train_clip", "--data", str(work / "crops"), *minutes]),
        ("protogcn", ["vigil.demo.train_protogcn", "--params", arguments.params]),
    ):
        out = work / name
        train([*options, "--out", str(out)])
        shutil.copyfile(out / f"{name}.safetensors", paths.root / SHIPPED / f"{name}.safetensors")
        print(f"demo_weights: {name}: {SHIPPED / name}.safetensors, figures in {out}/metrics.json")


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
        (
            "--minutes",
            {"type": float, "default": 120.0, "help": "budget of SAM2, RTMO and CLIP each"},
        ),
    )
