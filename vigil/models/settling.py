"""Normalization statistics measured anew for given weights, and validation by them.

The running statistics of a training lag behind its weights, belong to other weights than the
averaged ones, and have seen augmented clips only. What is saved therefore gets statistics of its
own, over unchanged training clips; and each validation judges the network with those statistics,
so that its figures are those of the network that would be saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from vigil.config import TrainSection
from vigil.models.store import ModelSpec, build, served


class Settler:
    """Measures the statistics of one recognizer's normalization layers over the same clips."""

    def __init__(
        self,
        spec: ModelSpec,
        rows: Sequence[Mapping[str, Any]],
        params: TrainSection,
    ) -> None:
        """Choose the clips: all of them, or so many that `settle_batches` hold, by the seed.

        Args:
            spec: the recognizer that is trained.
            rows: its training annotations.
            params: batch size, the bound on the cost, seed.
        """
        self.spec, self.rows = spec, rows
        order = np.random.default_rng(params.seed).permutation(len(rows))
        count = max(1, len(rows) // (2 * params.batch_size))
        self.parts = np.array_split(order, count)[: params.settle_batches]
        self._recognizer: Any = None

    def __call__(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state of the served network with fresh statistics.

        Args:
            state: weights, with or without the training-only branch; left as they are.

        Returns:
            Copies of the served network's tensors, on the device of `state`.
        """
        with torch.random.fork_rng():  # building draws weights that are not used
            if self._recognizer is None:
                self._recognizer = build(self.spec)
        recognizer = self._recognizer
        recognizer.load_state_dict(served(dict(state)))
        device = next(iter(state.values())).device
        recognizer.to(device)
        graph = recognizer.inference_graph()
        norms = _norms(graph)
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
        with torch.no_grad():
            for feeds in self._batches() if norms else ():
                graph(*(array.to(device) for array in feeds))
        return {name: value.clone() for name, value in recognizer.state_dict().items()}

    def _batches(self) -> Iterator[list[Tensor]]:
        """Prepare the chosen clips as they are served, part by part."""
        for part in self.parts:
            feeds = self.spec.reads.batch([self.rows[i] for i in part]).feeds
            yield [torch.from_numpy(array) for array in feeds.values()]


class SettledValidation(Hook):  # type: ignore[misc]
    """Validate with the statistics that the network would be saved with.

    Training goes on with its own: nothing but the validation figures depends on this.
    """

    priority = "BELOW_NORMAL"  # after mmengine's EMAHook has put the averaged weights in

    def __init__(self, settler: Settler) -> None:
        """Take what measures; see `Settler`."""
        self.settler = settler
        self._own: dict[str, Tensor] = {}

    def before_val_epoch(self, runner: Runner) -> None:
        """Put fresh statistics in, and keep the training's."""
        model = _bare(runner)
        fresh = self.settler(model.state_dict())
        self._own = {}
        for name, value in _statistics(model).items():
            if name in fresh:
                self._own[name] = value.clone()
                value.copy_(fresh[name])

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Give the training its own statistics back."""
        for name, value in _statistics(_bare(runner)).items():
            if name in self._own:
                value.copy_(self._own[name])
        self._own = {}


def _bare(runner: Runner) -> torch.nn.Module:
    """Return the runner's model without the wrapper of several processes."""
    model: Any = runner.model
    bare: torch.nn.Module = model.module if is_model_wrapper(model) else model
    return bare


def _norms(model: torch.nn.Module) -> list[_BatchNorm]:
    """Return the batch normalization layers of a network."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def _statistics(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return the buffers of a network's normalization layers by their names in its state."""
    return {
        f"{prefix}.{name}": buffer
        for prefix, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for name, buffer in module.named_buffers(recurse=False)
    }
