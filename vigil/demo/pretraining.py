"""The pretraining of a demo recognizer: the ordinary training, and figures on held-out scenes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.evaluation import measure, predict
from vigil.evaluation.scores import scores_of
from vigil.training import train


def fit(name: str, config: Config, annotations: Path, out: Path) -> dict[str, Any]:
    """Train unless that is done, keep the weights, and measure on the scenes of `val`.

    Args:
        name: of the recognizer; its weights become `<name>.safetensors` in `out`.
        config: of the training.
        annotations: file of simulated windows.
        out: folder of the run.

    Returns:
        `metrics` with intervals, `n` held-out windows, `scenes` held out and `train` windows.
    """
    train(name, config, annotations, out / "model", out / "work")
    shutil.copyfile(out / "model" / "model.safetensors", out / f"{name}.safetensors")
    splits, rows = read_annotations(annotations)
    held_out = select(splits, rows, "val")
    scores = scores_of(held_out, predict(out / "model", held_out))
    metrics = measure(scores, config.classes, config.normal_class, config.evaluate)
    return {"n": len(held_out), "scenes": len(set(scores.videos)),
            "train": len(splits["train"]), "metrics": metrics}  # fmt: skip
