"""Train the demo's detector or pose network on a GPU, on images that are drawn meanwhile.

    python -m vigil.demo.train_stream --network rtmo --out DIR --minutes 11 --init FILE
        [--val DIR]

Other than `train_yolo` and `train_rtmo`, which read images from a disk and suit a CPU, this keeps
the newest images in the GPU's memory and makes its batches there, while the machine's cores
(`workers` of `params.yaml`) draw new ones without end. The schedule follows the clock; the last
fifth looks at whole images as the demo does. Written to DIR: `<network>.safetensors` (moving
average of the weights, float16), `log.csv`, `checkpoint.pt`, from which a killed run goes on with
other images, and with `--val`, a folder of `vigil.demo.images`, `metrics.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from vigil.command import run
from vigil.config import Config
from vigil.demo.checkpoints import descend, report, resume, save
from vigil.demo.drawing import Drawing
from vigil.demo.image_store import ImageStore, View
from vigil.demo.learners import LEARNERS, Learner
from vigil.demo.rtmo_run import Recipe, average
from vigil.demo.train_rtmo import set_schedule
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.workers import worker_pool

IMAGE_SIZE = (640, 360)
WHOLE_FROM = 0.8  # share of the time after which images are seen whole
_COLLECT_EVERY = 10  # steps
_REPORT_EVERY = 100


def train(learner: Learner, recipe: Recipe, store: ImageStore, more: Callable[[], None], out: Path
          ) -> None:  # fmt: skip
    """Train until the recipe's minutes are over.

    Args:
        learner: network and loss; changed in place.
        recipe: minutes, batch, learning rate, averaging.
        store: images to begin with.
        more: adds those that are ready to the store.
        out: folder of the run; goes on from its checkpoint.
    """
    run = learner.run
    resume(run, out / "checkpoint.pt")
    random = torch.Generator(device=store.device).manual_seed(recipe.seed + run.iteration)
    begun = time.monotonic() - run.seconds
    saved = run.seconds
    run.model.train()
    while run.seconds < 60 * recipe.minutes:
        progress = run.seconds / (60 * recipe.minutes)
        rate = set_schedule(run, recipe, progress)
        if run.iteration % _COLLECT_EVERY == 0:
            more()
        loss = step(learner, store, view(learner, progress), random, recipe)
        run.seconds = time.monotonic() - begun
        over = run.seconds >= 60 * recipe.minutes
        if over or run.iteration % _REPORT_EVERY == 0:
            report(out, run, {"rate": rate, "loss": loss, "images": float(store.seen)})
        if run.seconds - saved > 60 * recipe.checkpoint_minutes:
            saved = run.seconds
            save(run, out / "checkpoint.pt")
    save(run, out / "checkpoint.pt")


def view(learner: Learner, progress: float) -> View:
    """Return how to look at images, at this share of the time."""
    if progress < WHOLE_FROM:
        return View(learner.size)
    return View(learner.size, (0.95, 1.05), 0.0, learner.anchor, 0.03, 0.15)


def step(
    learner: Learner, store: ImageStore, how: View, random: torch.Generator, recipe: Recipe
) -> float:
    """Update the weights and their average once; return the loss.

    Args:
        learner: changed in place.
        store: where the images are.
        how: to look at them.
        random: of the store's device.
        recipe: batch, greatest gradient, averaging.
    """
    run = learner.run
    images, persons = store.draw(recipe.batch, how, random)
    loss = learner.loss(images, persons)
    descend(run, loss, recipe.clip)
    average(run, recipe)
    return float(loss.detach())


def main(config: Config, _: Paths, arguments: argparse.Namespace) -> None:
    """Draw and train."""
    if arguments.first > arguments.images:
        raise InputError(
            f"--first: expected at most {arguments.images} (--images), got {arguments.first}"
        )
    warnings.filterwarnings("ignore", category=FutureWarning, module="mmpose")
    warnings.filterwarnings("ignore", message="torch.meshgrid")
    arguments.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    learner = LEARNERS[arguments.network](device, arguments.init)
    recipe = replace(learner.recipe, minutes=arguments.minutes)
    recipe = replace(recipe, batch=arguments.batch or recipe.batch)
    store = ImageStore(arguments.images, IMAGE_SIZE, device)
    workers = config.workers or os.cpu_count() or 1
    with worker_pool(workers) as pool:
        drawing = Drawing(pool, workers, arguments.seed)

        def more() -> None:
            for shard in drawing.collect():
                store.add(shard)

        print(f"train_stream: {workers} processes draw the first {arguments.first} images")
        while store.count < arguments.first:
            more()
            time.sleep(0.1)
        train(learner, recipe, store, more, arguments.out)
        drawing.stop()
    weights = arguments.out / f"{arguments.network}.safetensors"
    learner.export(weights)
    print(f"train_stream: {learner.run.iteration} steps, {store.seen} images drawn: {weights}")
    if arguments.val:
        figures = learner.measure(arguments.val)
        (arguments.out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n")
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--network", {"choices": sorted(LEARNERS), "required": True}),
        ("--out", {"type": Path, "required": True, "help": "folder of the run"}),
        ("--init", {"type": Path, "required": True, "help": "weights to begin with"}),
        ("--minutes", {"type": float, "default": 11.0, "help": "time budget"}),
        ("--seed", {"type": int, "default": 40, "help": "of the scenes, 0 to 99"}),
        ("--images", {"type": int, "default": 30_000, "help": "kept in the GPU's memory"}),
        ("--first", {"type": int, "default": 1500, "help": "drawn before the first step"}),
        ("--batch", {"type": int, "help": "images per step"}),
        ("--val", {"type": Path, "help": "folder of images to measure on"}),
    )
