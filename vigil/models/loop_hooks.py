"""What decides the course of a training: where it begins, how it resumes, when it stops."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner, set_random_seed

from vigil.models import processes
from vigil.models.store import begin, fitting

_LOG = logging.getLogger("vigil.training")


@HOOKS.register_module()
class BeginWith(Hook):  # type: ignore[misc]
    """Begin with trained weights; a resumed training keeps its own.

    mmengine initializes the layers after it has built the model, so this waits until then.
    """

    def __init__(self, weights: str, classes: Sequence[str]) -> None:
        """Take the path of a file that `vigil.models.store.save` wrote, and this run's classes."""
        self.weights, self.classes = Path(weights), tuple(classes)

    def before_train(self, runner: Runner) -> None:
        """Load the weights before the first epoch.

        Raises:
            ModelError: no such file, or weights of another network.
        """
        if runner.epoch == 0:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            left = begin(model, self.weights, self.classes)
            _LOG.info("begin with %s; %d tensors are new", self.weights, len(left))


@HOOKS.register_module()
class HoldOn(Hook):  # type: ignore[misc]
    """Pull the weights towards those that the training began with, every step (L2-SP).

    Like a decoupled weight decay whose rest is not 0 but the start (Li et al., ICML 2018): few
    clips then change only what they can pay for. What is new decays by `weight_decay` alone.
    """

    def __init__(self, weights: str, classes: Sequence[str], anchor: float) -> None:
        """Take what `BeginWith` does, and the penalty's weight."""
        self.weights, self.classes, self.anchor = Path(weights), tuple(classes), anchor

    def before_train(self, runner: Runner) -> None:
        """Read the start, also when the training resumes."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        start = fitting(model, self.weights, self.classes)
        self.pairs = [
            (parameter, start[name].to(parameter.device))
            for name, parameter in model.named_parameters()
            if name in start
        ]

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Go a part of the way back, as far as a penalty within the gradient would in the end."""
        group = runner.optim_wrapper.optimizer.param_groups[0]
        rate = group["lr"] / (1.0 - group.get("momentum", 0.0))
        share = min(1.0, rate * self.anchor)
        with torch.no_grad():
            for parameter, start in self.pairs:
                parameter.lerp_(start, share)


@HOOKS.register_module()
class ExactResume(Hook):  # type: ignore[misc]
    """Let a killed training go on as if it had not been killed.

    Each epoch draws from random generators (Python's, NumPy's, torch's) seeded by the run's seed,
    the epoch and the process, so nothing of their state before it matters; weights, averages,
    optimizer, schedule and histories lie in the checkpoint. A validation that came after the last
    checkpoint is done again.
    """

    priority = "LOWEST"

    def before_train(self, runner: Runner) -> None:
        """Validate again at the epoch that the training resumes after, if it was due."""
        loop = runner.train_loop
        due = runner.epoch % loop.val_interval == 0 or runner.epoch == loop.max_epochs
        if runner.epoch and runner.val_loop is not None and due:
            runner.val_loop.run()

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this epoch."""
        entropy = np.random.SeedSequence([runner.seed, runner.epoch, processes.rank()])
        set_random_seed(int(entropy.generate_state(1)[0]))


@HOOKS.register_module()
class StopEarly(Hook):  # type: ignore[misc]
    """Stop when the validation loss has not fallen for a number of epochs.

    What it has seen lies in mmengine's message hub and so in the checkpoints.
    """

    priority = "LOWEST"

    def __init__(self, patience_epochs: int) -> None:
        """Wait for `patience_epochs` epochs, at least one validation."""
        self.patience_epochs = patience_epochs

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Note a better loss, or count the epochs since the best."""
        seen = runner.message_hub.runtime_info
        loss = float((metrics or {})["val/loss"])
        if loss < seen.get("stop_early_loss", float("inf")):
            runner.message_hub.update_info("stop_early_loss", loss)
            runner.message_hub.update_info("stop_early_epoch", runner.epoch)
        waited = runner.epoch - seen.get("stop_early_epoch", 0)
        if waited >= self.patience_epochs:
            _LOG.info("stopped: val/loss has not fallen for %d epochs", waited)
            runner.train_loop.stop_training = True
