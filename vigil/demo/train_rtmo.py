"""Train the small demo RTMO from nothing on synthetic scenes, within a given time.

    python -m vigil.demo.train_rtmo --data DIR [--also DIR] --out DIR --minutes N [--init FILE]

`--data` holds `train/` and `val/` in COCO format (`annotations.json`, `images/`), `--also` a
further `train/`. The network, its assigner and its losses are mmpose's; the loop is ours, because
the schedule follows the clock: the learning rate warms up and falls along a cosine that ends when
the minutes are over, whatever the machine. The first part runs at a smaller image. `--init` begins
with given weights. Killed and started again with the same `--out`, it goes on from its last
checkpoint. Written there: `checkpoint.pt`, `log.csv`, `metrics.json` and `rtmo.safetensors` (moving
average of the weights, float16).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.demo import pose_data, pose_metrics
from vigil.demo.checkpoints import Run, descend, export_weights, report, resume, save
from vigil.demo.pose_data import Persons, PoseImages
from vigil.demo.precision import half
from vigil.demo.rtmo_run import AveragedRun, Recipe, average, start
from vigil.perception import rtmo, rtmo_network
from vigil.perception.poses import Poses

SIZE: Final = rtmo_network.VARIANTS["demo"].input_size
CROP_SIZE: Final = (256, 160)


def batches(
    images: PoseImages, recipe: Recipe, first: int
) -> Iterator[tuple[NDArray[np.intp], np.random.Generator]]:
    """Endless shuffled batches of row numbers, each with its own random source.

    Args:
        images: what to draw from.
        recipe: gives the batch and the seed.
        first: iteration to begin at; the same iteration always gives the same batch.
    """
    per_epoch = max(len(images) // recipe.batch, 1)
    iteration = first
    while True:
        epoch, position = divmod(iteration, per_epoch)
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(images))
        rows = order[position * recipe.batch : (position + 1) * recipe.batch]
        yield rows, np.random.default_rng([recipe.seed, epoch, position])
        iteration += 1


def step(
    run: AveragedRun,
    images: PoseImages,
    rows: NDArray[np.intp],
    random: np.random.Generator,
    recipe: Recipe,
    progress: float,
) -> dict[str, float]:
    """One update of the weights and of their average; returns the losses.

    Args:
        run: changed in place.
        images: the training set.
        rows: which of them.
        random: source of the augmentation's chance.
        recipe: numbers of the training.
        progress: share of the time budget already used.
    """
    device = next(run.model.parameters()).device
    crop = progress < recipe.crops_until
    size, zoom = (CROP_SIZE, recipe.crop_zoom) if crop else (SIZE, recipe.zoom)
    focus = recipe.focus if crop else 0.0
    made = [
        pose_data.augment(images.images[row], images.persons[row], size, zoom, random, focus)
        for row in rows
    ]
    pixels = torch.from_numpy(np.stack([image for image, _ in made])).to(device)
    inputs = pixels.permute(0, 3, 1, 2).float()  # channels last in memory, as the network is
    if not run.model.training:
        run.model.train()
    with half(device):
        features = run.model.extract_feat(inputs)
    samples = [_sample(persons, size, device) for _, persons in made]
    losses = run.model.head.loss([feature.float() for feature in features], samples)
    total, log = run.model.parse_losses(losses)
    norm = descend(run, total, recipe.clip)
    average(run, recipe)
    return {name: float(value.detach()) for name, value in log.items()} | {"gradient": float(norm)}


def _sample(persons: Persons, size: tuple[int, int], device: torch.device) -> Any:
    """One image's persons as mmpose's data sample."""
    from mmengine.structures import InstanceData
    from mmpose.structures import PoseDataSample

    visible = torch.from_numpy(persons.visible).to(device)
    labels = InstanceData(
        bboxes=torch.from_numpy(persons.boxes).to(device),
        labels=torch.zeros(len(persons.boxes), dtype=torch.long, device=device),
        keypoints=torch.from_numpy(persons.keypoints).to(device),
        keypoints_visible=visible,
        keypoints_visible_weights=torch.ones_like(visible),
        areas=torch.from_numpy(persons.areas).to(device),
    )
    sample = PoseDataSample(metainfo={"input_size": size})
    sample.gt_instance_labels = labels
    return sample


def set_schedule(run: Run, recipe: Recipe, progress: float) -> float:
    """Set the learning rates for this share of the budget; returns the rate."""
    warm = min(1.0, progress / recipe.warm_up) if recipe.warm_up else 1.0
    rest = max(0.0, (progress - recipe.warm_up) / (1 - recipe.warm_up))
    falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))
    rate = recipe.learning_rate * max(warm, 0.01) * falling
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def predict(model: Any, images: PoseImages) -> Iterator[tuple[int, Poses]]:
    """Poses of every image in pixels of the original, by the graph that is exported."""
    graph = rtmo_network.exportable(
        copy.deepcopy(model).cpu(), SIZE, rtmo_network.VARIANTS["demo"].top_k
    )
    for row, image_id in enumerate(images.ids):
        pixels = torch.from_numpy(images.images[row : row + 1])
        with torch.no_grad():
            boxes, scores, keypoints = graph(pixels.permute(0, 3, 1, 2).float().contiguous())
        outputs = {"boxes": boxes, "scores": scores, "keypoints": keypoints}
        arrays = {name: value[0].numpy() for name, value in outputs.items()}
        yield image_id, rtmo.postprocess(arrays, images.scales[row], SIZE, score_threshold=0.01)


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    device: torch.device,
    init: Path | None = None,
    also: Path | None = None,
) -> dict[str, float]:
    """Train until the recipe's minutes are over; returns the final held-out figures."""
    out.mkdir(parents=True, exist_ok=True)
    run = start(recipe, device, init)
    resume(run, out / "checkpoint.pt")
    folders = [folder / "train" for folder in (data, also) if folder is not None]
    images = pose_data.join([pose_data.load(folder, SIZE) for folder in folders])
    held_out = pose_data.load(data / "val", SIZE, recipe.validate_images)
    begun = time.monotonic() - run.seconds
    saved = validated = run.seconds
    source = batches(images, recipe, run.iteration)
    while run.seconds < 60 * recipe.minutes:
        progress = run.seconds / (60 * recipe.minutes)
        rate = set_schedule(run, recipe, progress)
        rows, random = next(source)
        losses = step(run, images, rows, random, recipe, progress)
        if run.iteration % 50 == 0:
            report(out, run, {"rate": rate} | losses)
        run.seconds = time.monotonic() - begun
        if run.seconds - saved > 60 * recipe.checkpoint_minutes:
            saved = run.seconds
            save(run, out / "checkpoint.pt")
        if run.seconds - validated > 60 * recipe.validate_minutes:
            validated = run.seconds
            export_weights(run.average, out / "rtmo.safetensors", "rtmo")
            figures = pose_metrics.evaluate(data / "val", predict(run.average, held_out))
            report(out, run, figures)
    save(run, out / "checkpoint.pt")
    export_weights(run.average, out / "rtmo.safetensors", "rtmo")
    figures = pose_metrics.evaluate(
        data / "val", predict(run.average, pose_data.load(data / "val", SIZE))
    )
    figures |= {"minutes": run.seconds / 60, "iterations": run.iteration}
    (out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--also", type=Path, help="folder with a further train/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes, help="time budget")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--init", type=Path, help="weights to begin with")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore", category=FutureWarning, module="mmpose")
    warnings.filterwarnings("ignore", message="torch.meshgrid")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = Recipe(minutes=arguments.minutes)
    figures = train(arguments.data, arguments.out, recipe, device, arguments.init, arguments.also)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
