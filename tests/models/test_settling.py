"""Validation judges the network that would be saved, whatever is averaged and however often."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.skeletons import config
from vigil import compat
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.evaluation import predict
from vigil.models.store import ModelSpec, build
from vigil.training import train

compat.apply()

import torch  # noqa: E402  after the bridges

from vigil.models.settling import SettledValidation, Settler  # noqa: E402


def logged(run: Path) -> list[float]:
    """Return the validation loss of every epoch."""
    lines = (run / "live/plots/metrics/val/loss.tsv").read_text().splitlines()[1:]
    return [float(line.split("\t")[1]) for line in lines]


def loss(model: Path, annotations: Path, cfg: Config) -> float:
    """Return the log loss of a saved recognizer on the validation clips."""
    rows = select(*read_annotations(annotations), "val")
    scores = predict(model, rows)
    return float(-np.log([p[row["label"]] for p, row in zip(scores, rows, strict=True)]).mean())


@pytest.mark.parametrize(
    "wanted",
    [{"ema_momentum": 0.02}, {"ema_momentum": 0.02, "settle_batches": 1}, {"ema_momentum": 0.0}],
    ids=["averaged", "averaged, few clips", "not averaged"],
)
def test_the_last_figure_is_that_of_the_saved_network(
    annotations: Path, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    cfg = config(epochs=3, lr=0.1, batch_size=4, calibrate=False, **wanted)
    run = train("stgcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    assert logged(run)[-1] == pytest.approx(loss(tmp_path / "model", annotations, cfg), abs=1e-5)


def test_the_best_figure_is_that_of_the_network_chosen_by_it(
    annotations: Path, tmp_path: Path
) -> None:
    cfg = config(epochs=5, lr=0.1, batch_size=4, ema_momentum=0.1, select="best", calibrate=False)
    run = train("stgcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    assert min(logged(run)) == pytest.approx(loss(tmp_path / "model", annotations, cfg), abs=1e-5)


def settler(annotations: Path, **params: Any) -> Settler:
    cfg = config(**params)
    rows = select(*read_annotations(annotations), "train")
    spec = ModelSpec.of("stgcn", cfg.classes, cfg.models, cfg.dataset)
    return Settler(spec, rows, cfg.training("stgcn"))


def test_training_gets_its_own_statistics_back(annotations: Path) -> None:
    settle = settler(annotations)
    model = build(settle.spec)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hook, runner = SettledValidation(settle), SimpleNamespace(model=model)
    hook.before_val_epoch(runner)
    fresh = settle(before)
    moved = [name for name in before if not torch.equal(model.state_dict()[name], before[name])]
    assert moved
    assert all(name.endswith(("running_mean", "running_var", "num_batches_tracked"))
               for name in moved)  # fmt: skip
    assert all(torch.equal(model.state_dict()[name], fresh[name]) for name in fresh)
    hook.after_val_epoch(runner)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_cost_is_bounded_and_the_clips_are_the_seeds(annotations: Path) -> None:
    whole, few, other = (
        settler(annotations, batch_size=2, **more)
        for more in ({}, {"settle_batches": 2}, {"settle_batches": 2, "seed": 5})
    )
    assert sum(len(part) for part in whole.parts) == len(whole.rows)
    assert [part.tolist() for part in few.parts] == [part.tolist() for part in whole.parts[:2]]
    assert [part.tolist() for part in few.parts] != [part.tolist() for part in other.parts]


def test_settling_draws_nothing_from_the_trainings_random_numbers(annotations: Path) -> None:
    settle = settler(annotations)
    state = build(settle.spec).state_dict()
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    settle(state)
    assert torch.equal(torch.rand(2), wanted)
