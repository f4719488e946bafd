"""The trainings of all demo networks, each a command of its own, as one resumable sequence."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vigil.demo.clip_data import make_crops
from vigil.demo.images import Shares, make_images
from vigil.demo.learned_errors import LEAST_SCENES
from vigil.errors import VigilError
from vigil.schema import atomic

_FALLS = {"train": 0.5, "val": 0.0}  # share of images on which somebody falls or lies
_VALIDATION_SHARE = 17.5  # training images, or scenes, per held-out one


@dataclass(frozen=True)
class Budget:
    """How large the trainings are.

    Attributes:
        images: rendered training images.
        epochs: passes of YOLO11 over them.
        minutes: budget of SAM2 and of RTMO by the wall clock, of CLIP in processor time.
        scenes: simulated scenes for ProtoGCN.
        rendered_scenes: scenes for it that are drawn and looked at by the networks, whose errors
            the simulated ones are given.
        crop_scenes: rendered scenes whose crops CLIP learns from, a few looks each.
        film_scenes: rendered scenes that CLIP and CLIP-GRU learn from, looked at all the time.
    """

    images: int
    epochs: int
    minutes: float
    scenes: int
    rendered_scenes: int
    crop_scenes: int
    film_scenes: int


def train_all(
    work: Path,
    out: Path,
    budget: Budget,
    params: str,
    workers: int | None,
    say: Callable[[str], None],
) -> None:
    """Render the images unless they are there, train each network, copy its weights to `out`.

    A killed sequence continues: every training resumes from its own checkpoint in `work`.

    Args:
        work: folder of images, checkpoints and figures.
        out: folder of the weights, `<network>.safetensors`.
        budget: size of everything.
        params: parameter file, for the recognizer's shape.
        workers: processes that render; every core when None.
        say: receives a line per step.

    Raises:
        VigilError: a training failed; it has said why.
    """
    held_out = max(round(budget.images / _VALIDATION_SHARE), 1)
    for split, count in (("train", budget.images), ("val", held_out)):
        if not (work / "images" / split).exists():
            say(f"rendering {count} {split} images")
            _render(work / "images" / split, split, count, workers, _FALLS[split])
    _crops(work / "crops", budget, workers, say)
    for name, command in trainings(work, budget, params, out):
        say(command[0])
        done = subprocess.run(
            [sys.executable, "-m", *command, "--out", str(work / name)], check=False
        )
        if done.returncode:
            raise VigilError(f"demo_weights: {command[0]} ended with exit code {done.returncode}")
        weights = out / f"{name}.safetensors"
        with atomic(weights) as partial:
            shutil.copyfile(work / name / weights.name, partial)
        say(f"{name}: {weights}, figures in {work / name}/metrics.json")


def trainings(
    work: Path, budget: Budget, params: str, out: Path
) -> list[tuple[str, list[str]]]:  # fmt: skip
    """Return (network, module and options) of every training, in the order they run."""
    data, minutes = ["--data", str(work / "images")], ["--minutes", str(budget.minutes)]
    crops = ["--data", str(work / "crops"), *minutes]
    scenes = ["--params", params, "--scenes", str(budget.scenes),
              "--rendered", str(budget.rendered_scenes), "--weights", str(out)]  # fmt: skip
    if budget.rendered_scenes >= LEAST_SCENES:
        scenes.append("--learn-errors")
    return [
        ("yolo11n", ["vigil.demo.train_yolo", *data, "--epochs", str(budget.epochs)]),
        ("sam2", ["vigil.demo.train_sam2", *data, *minutes]),
        ("rtmo", ["vigil.demo.train_rtmo", *data, *minutes]),
        ("clip", ["vigil.demo.train_clip", *crops]),
        ("clip_gru", ["vigil.demo.train_clip_gru", "--crops", str(work / "crops"),
                      "--clip", str(out / "clip.safetensors"), "--params", params]),
        ("protogcn", ["vigil.demo.train_protogcn", *scenes]),
    ]  # fmt: skip


def _crops(work: Path, budget: Budget, workers: int | None, say: Callable[[str], None]) -> None:
    """Render the crops that are not there yet; folders with `film` look several times a second."""
    for name, scenes, every_s in (
        ("", budget.crop_scenes, 0.0),
        ("_film", budget.film_scenes, 0.2),
    ):
        held_out = max(round(scenes / _VALIDATION_SHARE), 1)
        for split, count in (("train", scenes), ("val", held_out)):
            folder = work / f"{split}{name}"
            if not (folder / "crops.npz").exists():
                say(f"rendering crops of {count} {split} scenes")
                make_crops(folder, count, 3 if every_s else 2, split, workers, every_s=every_s)


def _render(folder: Path, split: str, count: int, workers: int | None, falls: float) -> None:
    """Render the images of one split; the folder appears only when it is complete."""
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    make_images(partial, count, seed=1, split=split, workers=workers, shares=Shares(falls))
    partial.rename(folder)
