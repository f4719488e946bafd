"""Train the small demo RTMO from nothing on synthetic scenes, within a given time.

    python -m vigil.demo.train_rtmo --data DIR --out DIR --minutes N [--init FILE]

`--data` holds `train/` and `val/` in COCO format (`annotations.json`, `images/`). The network, its
assigner and its losses are mmpose's; the loop is ours, because the schedule follows the clock: the
learning rate warms up and falls along a cosine that ends when the minutes are over, whatever the
machine. The first part runs at a smaller image. `--init` begins with given weights. Killed and
started again with the same `--out`, it goes on from its last checkpoint. Written there:
`checkpoint.pt`, `log.csv`, `metrics.json` and `rtmo.safetensors` (moving average of the weights,
float16).
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from vigil.demo import pose_data, pose_metrics
from vigil.demo.pose_data import Persons, PoseImages
from vigil.perception import rtmo, rtmo_network
from vigil.perception.poses import Poses

SIZE: Final = rtmo_network.VARIANTS["demo"].input_size
CROP_SIZE: Final = (256, 160)
OUTSIDE_COST: Final = 1e4  # SimOTA adds 1e5 for a cell outside a person's box or center


@dataclass(frozen=True)
class Recipe:
    """Numbers of the training; `minutes` is the whole budget of wall-clock time.

    Shares are of that budget. `encoder_factor` slows the attention layer, as RTMO's authors do.
    """

    minutes: float = 80.0
    batch: int = 16
    learning_rate: float = 6e-4
    encoder_factor: float = 0.2
    weight_decay: float = 0.05
    clip: float = 10.0
    warm_up: float = 0.02
    crops_until: float = 0.88
    crop_zoom: tuple[float, float] = (1.4, 2.6)
    focus: float = 0.9
    zoom: tuple[float, float] = (0.8, 1.25)
    averaging: float = 0.998
    checkpoint_minutes: float = 3.0
    validate_minutes: float = 6.0
    validate_images: int = 150
    seed: int = 0


@dataclass
class Run:
    """A training in progress: everything a checkpoint must hold."""

    model: Any
    average: Any
    optimizer: torch.optim.Optimizer
    iteration: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Pair the tensors of the network with those of its average."""
        own, new = self.average.state_dict().values(), self.model.state_dict().values()
        pairs = [pair for pair in zip(own, new, strict=True) if pair[0].is_floating_point()]
        self.pairs = [list(tensors) for tensors in zip(*pairs, strict=True)]


def start(recipe: Recipe, device: torch.device, init: Path | None = None) -> Run:
    """A network, its moving average and its optimizer: from `init`, or fresh from the seed."""
    torch.manual_seed(recipe.seed)
    model: Any = rtmo_network.build_rtmo("demo")
    model.init_weights()
    if init is not None:
        rtmo_network.load_weights(model, init)
    _adapt(model.head)
    model = model.to(device, memory_format=torch.channels_last)
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = ("neck.encoder" in name, parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": recipe.encoder_factor if encoder else 1.0,
                "weight_decay": recipe.weight_decay if matrix else 0.0,
            }
            for (encoder, matrix), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
        fused=True,
    )
    return Run(model, copy.deepcopy(model).eval(), optimizer)


def _adapt(head: Any) -> None:
    """Set mmpose's head up for learning fast from nothing.

    The losses weigh as in the second stage of RTMO's authors from the beginning: scores and proxy
    poses learn from the coordinate classifier. And SimOTA gives a person up to ten of the cells
    inside its box instead of as many as already fit it well, which is one for a fresh network.
    """
    head.proxy_target_cc = True
    head.loss_mle.loss_weight = 5.0
    head.loss_oks.loss_weight = 10.0
    head.use_aux_loss = True  # L1 on the boxes
    head.assigner.candidate_topk = 6
    match = head.assigner.dynamic_k_matching

    def generous(
        cost: torch.Tensor, quality: torch.Tensor, persons: int, valid: torch.Tensor
    ) -> Any:
        return match(cost, (cost < OUTSIDE_COST).to(quality.dtype), persons, valid)

    head.assigner.dynamic_k_matching = generous


def save(run: Run, path: Path) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    state = {
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "iteration": run.iteration,
        "seconds": run.seconds,
    }
    temporary = path.with_name(f".{path.name}.tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def resume(run: Run, path: Path) -> None:
    """Continue `run` from a checkpoint that `save` wrote; nothing happens where there is none."""
    if not path.is_file():
        return
    state = torch.load(path, weights_only=True)
    run.model.load_state_dict(state["model"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.iteration, run.seconds = state["iteration"], state["seconds"]


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
    run: Run,
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
    with torch.autocast(device.type, torch.bfloat16):
        features = run.model.extract_feat(inputs)
    samples = [_sample(persons, size, device) for _, persons in made]
    losses = run.model.head.loss([feature.float() for feature in features], samples)
    total, log = run.model.parse_losses(losses)
    run.optimizer.zero_grad()
    total.backward()
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
    if torch.isfinite(norm):
        run.optimizer.step()
    run.iteration += 1
    _average(run, recipe)
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


@torch.no_grad()
def _average(run: Run, recipe: Recipe) -> None:
    """Move the averaged weights and statistics a little towards the present ones."""
    decay = min(recipe.averaging, (1 + run.iteration) / (10 + run.iteration))
    own, new = run.pairs
    torch._foreach_lerp_(own, new, 1 - decay)


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
        yield image_id, rtmo.postprocess(arrays, images.scales[row], score_threshold=0.01)


def export_weights(model: Any, path: Path) -> None:
    """Write a network's state dict as float16 safetensors, under a temporary name first."""
    state = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    temporary = path.with_name(f".{path.name}.tmp")
    save_file(state, temporary, metadata={"model": "rtmo", "variant": "demo"})
    temporary.replace(path)


def train(
    data: Path, out: Path, recipe: Recipe, device: torch.device, init: Path | None = None
) -> dict[str, float]:
    """Train until the recipe's minutes are over; returns the final held-out figures."""
    out.mkdir(parents=True, exist_ok=True)
    run = start(recipe, device, init)
    resume(run, out / "checkpoint.pt")
    images = pose_data.load(data / "train", SIZE)
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
            _report(out, run, {"rate": rate} | losses)
        run.seconds = time.monotonic() - begun
        if run.seconds - saved > 60 * recipe.checkpoint_minutes:
            saved = run.seconds
            save(run, out / "checkpoint.pt")
        if run.seconds - validated > 60 * recipe.validate_minutes:
            validated = run.seconds
            export_weights(run.average, out / "rtmo.safetensors")
            figures = pose_metrics.evaluate(data / "val", predict(run.average, held_out))
            _report(out, run, figures)
    save(run, out / "checkpoint.pt")
    export_weights(run.average, out / "rtmo.safetensors")
    figures = pose_metrics.evaluate(
        data / "val", predict(run.average, pose_data.load(data / "val", SIZE))
    )
    figures |= {"minutes": run.seconds / 60, "iterations": run.iteration}
    (out / "metrics.json").write_text(json.dumps(figures, indent=2) + "\n")
    return figures


def _report(out: Path, run: Run, values: dict[str, float]) -> None:
    """Print values and append them to `log.csv`, one row per name."""
    text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
    print(f"{run.seconds / 60:.1f} min, iteration {run.iteration}: {text}", flush=True)
    with (out / "log.csv").open("a", newline="") as file:
        rows = [[run.iteration, round(run.seconds, 1), *item] for item in values.items()]
        csv.writer(file).writerows(rows)


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
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
    figures = train(arguments.data, arguments.out, recipe, device, arguments.init)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
