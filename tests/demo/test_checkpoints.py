"""One step of a training."""

from __future__ import annotations

import copy

import pytest
import torch

from vigil.demo.checkpoints import Run, descend


def run() -> Run:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    return Run(model, copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=1.0))


def test_a_gradient_longer_than_allowed_is_cut_and_its_length_returned() -> None:
    made = run()
    norm = descend(made, made.model(torch.tensor([3.0, 4.0])).sum(), clip=1.0)
    assert float(norm) == pytest.approx(5.0)
    assert made.model.weight.tolist()[0] == pytest.approx([1 - 0.6, 1 - 0.8], abs=1e-5)
    assert made.iteration == 1


def test_a_gradient_that_is_not_finite_changes_no_weight() -> None:
    made = run()
    descend(made, made.model(torch.tensor([1.0, float("inf")])).sum(), clip=1.0)
    assert made.model.weight.tolist() == [[1.0, 1.0]]
    assert made.iteration == 1
