"""A training on a clock that may be killed at any moment: its state, checkpoints and log.

Knows: a network, its moving average, an optimizer. Does not know: what is trained, by which loss.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


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


def report(out: Path, run: Run, values: dict[str, float]) -> None:
    """Print values and append them to `log.csv` in `out`, one row per name."""
    text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
    print(f"{run.seconds / 60:.1f} min, iteration {run.iteration}: {text}", flush=True)
    with (out / "log.csv").open("a", newline="") as file:
        rows = [[run.iteration, round(run.seconds, 1), *item] for item in values.items()]
        csv.writer(file).writerows(rows)
