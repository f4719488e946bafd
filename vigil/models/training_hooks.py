"""What mmengine's Runner needs beside its own parts: a metric and a log that people can watch."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS
from mmengine.runner import Runner

_LOG = logging.getLogger("vigil.training")


@METRICS.register_module()
class ClassificationMetric(BaseMetric):  # type: ignore[misc]
    """Mean log loss, accuracy and macro F1 of predicted probabilities."""

    default_prefix = "val"

    def __init__(self, classes: int, collect_device: str = "cpu") -> None:
        """Measure a classifier of `classes` classes; see mmengine for `collect_device`."""
        super().__init__(collect_device=collect_device)
        self.classes = classes

    def process(self, data_batch: Any, data_samples: list[dict[str, Any]]) -> None:
        """Keep each sample's probabilities (classes,) and label."""
        for sample in data_samples:
            scores = sample["pred_scores"]["item"].cpu().numpy()
            self.results.append((scores, int(sample["gt_labels"]["item"])))

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return `loss`, `accuracy` and `macro_f1` over all samples."""
        scores = np.stack([score for score, _ in results])
        labels = np.array([label for _, label in results])
        hit = scores.argmax(1) == labels
        chosen = scores[np.arange(len(labels)), labels]
        f1 = []
        for index in range(self.classes):
            true = (hit & (labels == index)).sum()
            named = (scores.argmax(1) == index).sum() + (labels == index).sum()
            f1.append(2 * true / named if named else 0.0)
        return {
            "loss": float(-np.log(np.maximum(chosen, 1e-9)).mean()),
            "accuracy": float(hit.mean()),
            "macro_f1": float(np.mean(f1)),
        }


@HOOKS.register_module()
class DvcliveHook(Hook):  # type: ignore[misc]
    """Write losses and validation metrics of every epoch with dvclive, as they come.

    The same figures go to the logger `vigil.training`, one line an epoch with the time left.
    """

    priority = "LOWEST"  # after the validation that a resumed training repeats

    def __init__(self, folder: str) -> None:
        """Log into `folder`; a resumed run appends."""
        self.folder = folder

    def before_train(self, runner: Runner) -> None:
        """Open the log at the epoch the run is at."""
        from dvclive import Live

        resume = runner.epoch > 0 and Path(self.folder).is_dir()
        self.live = Live(self.folder, resume=resume, report=None, save_dvc_exp=False, dvcyaml=None)
        self.started_s, self.first = time.monotonic(), runner.epoch
        if runner.epoch:
            _LOG.info("resumed after epoch %d", runner.epoch)
        if self.live.step < runner.epoch:  # killed between the checkpoint and the log
            self.live.step = runner.epoch - 1
            self._log(runner)
        self.live.step = runner.epoch

    def before_train_epoch(self, runner: Runner) -> None:
        """Log the epoch that ended before this one, its validation included."""
        if runner.epoch > self.first:
            self._log(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the last epoch and close the log."""
        if runner.epoch > self.first:
            self._log(runner)
        self.live.end()

    def _log(self, runner: Runner) -> None:
        """Log the mean losses of the epoch just ended and the newest validation metrics."""
        steps = len(runner.train_dataloader)
        values = {}
        for name, buffer in runner.message_hub.log_scalars.items():
            if name.startswith(("train/loss", "train/lr")):
                values[name] = float(buffer.mean(steps))
            elif name.startswith("val/val/"):
                values[name.removeprefix("val/")] = float(buffer.current())
        for name, value in values.items():
            self.live.log_metric(name, value)
        self.live.next_step()
        done, every = runner.epoch, runner.max_epochs
        spent_s = time.monotonic() - self.started_s
        left_s = spent_s / max(done - self.first, 1) * (every - done)
        shown = ", ".join(f"{k} {v:.3f}" for k, v in values.items() if k != "train/lr")
        _LOG.info("epoch %d/%d: %s, %.0f s left", done, every, shown, left_s)
