"""A training on a clock that may be killed at any moment: its state, checkpoints and log.

Knows: a network, its moving average, an optimizer. Does not know: what is trained, by which loss.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from vigil.files import atomic


@dataclass
class Run:
    """A training in progress: everything a checkpoint must hold.

    Attributes:
        model: the network that is trained.
        average: a copy that follows it.
        optimizer: of the model's parameters.
        iteration: updates done.
        seconds: time used, by the clock that the training goes by.
    """

    model: Any
    average: Any
    optimizer: torch.optim.Optimizer
    iteration: int = 0
    seconds: float = 0.0


def descend(run: Run, loss: torch.Tensor, clip: float) -> torch.Tensor:
    """Follow the loss's gradient once; a gradient that is not finite is passed over.

    Args:
        run: changed in place; its average is not moved.
        loss: of the run's model, a scalar.
        clip: greatest norm of the gradient.

    Returns:
        The norm before it was cut, a scalar.
    """
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), clip)
    if torch.isfinite(norm):
        run.optimizer.step()
    run.iteration += 1
    return norm


def save(run: Run, path: Path) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    state = {
        "model": run.model.state_dict(),
        "average": run.average.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "iteration": run.iteration,
        "seconds": run.seconds,
    }
    with atomic(path) as partial:
        torch.save(state, partial)


def resume(run: Run, path: Path) -> None:
    """Continue `run` from a checkpoint that `save` wrote; nothing happens where there is none."""
    if not path.is_file():
        return
    state = torch.load(path, weights_only=True)
    run.model.load_state_dict(state["model"])
    run.average.load_state_dict(state["average"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.iteration, run.seconds = state["iteration"], state["seconds"]


def export_weights(model: Any, path: Path, name: str) -> None:
    """Write a network's state dict as float16 safetensors, whole or not at all.

    Args:
        model: a torch module.
        path: where to.
        name: of the network, for the metadata.
    """
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in model.state_dict().items()
    }
    with atomic(path) as partial:
        save_file(state, partial, metadata={"model": name, "variant": "demo"})


def report(out: Path, run: Run, values: dict[str, float]) -> None:
    """Print values and append them to `log.csv` in `out`, one row per name."""
    text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
    print(f"{run.seconds / 60:.1f} min, iteration {run.iteration}: {text}", flush=True)
    with (out / "log.csv").open("a", newline="") as file:
        rows = [[run.iteration, round(run.seconds, 1), *item] for item in values.items()]
        csv.writer(file).writerows(rows)
