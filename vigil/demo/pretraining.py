"""The pretraining of a demo recognizer: the ordinary training, and figures on held-out scenes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.evaluation import measure, predict
from vigil.evaluation.scores import scores_of
from vigil.models import store
from vigil.training import initial, train


def fit(
    name: str, config: Config, annotations: Path, out: Path, share: float = 1.0
) -> dict[str, Any]:
    """Train unless that is done, keep the weights, and measure on the scenes of `val`.

    Args:
        name: of the recognizer; its weights become `<name>.safetensors` in `out`.
        config: of the training.
        annotations: file of simulated windows.
        out: folder of the run.
        share: of the trained weights in their mean with those of `init` (Wortsman et al., CVPR
            2022: what fine-tuning gains, less of what it forgets); 1: no mean is taken.

    Returns:
        `metrics` with intervals, `n` held-out windows, `scenes` held out and `train` windows.
    """
    train(name, config, annotations, out / "model", out / "work")
    model = out / "model"
    if share < 1:
        model = _mean(model, initial(config.training(name).init, out / "work"), share, out / "mean")
    shutil.copyfile(model / "model.safetensors", out / f"{name}.safetensors")
    splits, rows = read_annotations(annotations)
    held_out = select(splits, rows, "val")
    scores = scores_of(held_out, predict(model, held_out))
    metrics = measure(scores, config.classes, config.normal_class, config.evaluate)
    return {"n": len(held_out), "scenes": len(set(scores.videos)),
            "train": len(splits["train"]), "metrics": metrics}  # fmt: skip


def _mean(model: Path, begun: Path, share: float, out: Path) -> Path:
    """Write the mean of a model's weights and those it began with to the folder `out`."""
    trained, spec = store.load(model)
    before = store.build(spec)
    store.begin(before, begun, spec.classes)
    first = before.state_dict()
    state = {
        name: torch.lerp(first[name], value, share) if value.is_floating_point() else value
        for name, value in trained.state_dict().items()
    }
    store.save(out, state, spec)
    return out
