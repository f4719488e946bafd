"""One training in mmengine's terms: what `Runner.from_cfg` is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_start_method
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from vigil import models
from vigil.config import Config, TrainSection
from vigil.models.reading import SequenceReading, reading
from vigil.splits import split_name


@dataclass(frozen=True)
class Job:
    """What is trained on what, and by whom.

    Attributes:
        name: the recognizer.
        config: all parameters.
        annotations: the annotation file.
        run: folder of the unfinished work.
        fold: cross-validation fold, or None for the plain split.
        labels: class index of every training clip.
        validate: whether there are validation clips.
        weights: file of the weights to begin with, or None.
        cuda: whether a CUDA device trains.
        processes: how many processes train together.
        rank: which of them this is; the first writes the log.
    """

    name: str
    config: Config
    annotations: Path
    run: Path
    fold: int | None
    labels: Sequence[int]
    validate: bool
    weights: Path | None = None
    cuda: bool = False
    processes: int = 1
    rank: int = 0

    @property
    def params(self) -> TrainSection:
        """How this recognizer is trained."""
        return self.config.training(self.name)


def runner_config(job: Job) -> dict[str, Any]:
    """Return the config of mmengine's Runner for one training."""
    from vigil.models.checkpoints import latest

    last = latest(job.run)
    described = _schedule(job) | _device(job) | {
        "experiment_name": f"{job.run.name}-{uuid4().hex}",  # one name shares one message hub
        "model": _model(job),
        "work_dir": str(job.run),
        "train_dataloader": _loader(job, "train"),
        "resume": last is not None,
        "load_from": None if last is None else str(last),
        "default_scope": "mmaction",
        "randomness": {"seed": job.params.seed},
        "log_level": "WARNING",
        "env_cfg": {"mp_cfg": {"mp_start_method": get_start_method()}},  # as it is: mmengine forks
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 10_000, "log_metric_by_epoch": True},
            "checkpoint": _checkpoints(job),
        },
        "custom_hooks": _hooks(job),
    }  # fmt: skip
    if job.validate:
        classes = len(job.config.classes)
        described |= {
            "val_cfg": {"type": "ValLoop"},
            "val_dataloader": _loader(job, "val"),
            "val_evaluator": [
                # in memory, over whichever device the processes speak; `cpu` would leave files
                {"type": "ClassificationMetric", "classes": classes, "collect_device": "gpu"}
            ],
        }
    return described


def _checkpoints(job: Job) -> dict[str, Any]:
    """Return the hook that saves every epoch, and the best by validation loss.

    The checkpoint before the last is kept until the last is whole.
    """
    from vigil.models.checkpoints import BACKEND

    best = {"save_best": "val/loss", "rule": "less"} if job.validate else {}
    return {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 2,
            "backend_args": {"backend": BACKEND}, **best}  # fmt: skip


def _model(job: Job) -> dict[str, Any]:
    """Return the model's config, its head given the loss that was asked for."""
    from vigil.models.losses import class_weights

    params, classes = job.params, len(job.config.classes)
    model = models.model_config(models.section(job.config.models, job.name), classes, params)
    counts = np.bincount(np.asarray(job.labels, np.intp), minlength=classes)
    weights = class_weights(counts, params.loss.weights, params.loss.beta)
    model["cls_head"]["loss_cls"] = {
        "type": "ClassificationLoss",
        "class_weight": None if weights is None else weights.tolist(),
        "focal_gamma": params.loss.focal_gamma,
    }
    return model


def _loader(job: Job, part: str) -> dict[str, Any]:
    """Return this process's share of a split as a dataloader config."""
    from vigil.models import pipeline  # noqa: F401  its classes are registered

    training = part == "train"
    reads = reading(models.section(job.config.models, job.name), job.config.dataset)
    return {
        "batch_size": job.params.batch_size // job.processes,
        "num_workers": 0,
        "drop_last": False,
        "sampler": {"type": "DefaultSampler", "shuffle": training},
        "collate_fn": {"type": "pseudo_collate"},
        "dataset": {
            "type": "AnnotationDataset",
            "ann_file": str(job.annotations),
            "split": split_name(part, job.fold),
            "embeddings": isinstance(reads, SequenceReading),
            "pipeline": reads.pipeline(job.params.augment if training else None),
            "test_mode": not training,
            "serialize_data": False,  # only worker processes gain by it
        },
    }


def _schedule(job: Job) -> dict[str, Any]:
    """Return optimizer, per-step cosine schedule with warm-up, and the epoch loop."""
    params = job.params
    steps = -(-len(job.labels) // params.batch_size)
    optimizer: dict[str, Any] = {"type": "AdamW", "lr": params.lr}
    if params.optimizer == "sgd":
        optimizer = {"type": "SGD", "lr": params.lr, "momentum": 0.9, "nesterov": True}
    wrapper: dict[str, Any] = {
        "type": "AmpOptimWrapper" if params.amp and job.cuda else "OptimWrapper",
        "optimizer": optimizer | {"weight_decay": params.weight_decay},
    }
    if params.clip_grad:
        wrapper["clip_grad"] = {"max_norm": params.clip_grad}
    warmup = min(params.warmup_epochs, params.epochs - 1) * steps
    total = params.epochs * steps
    schedule: list[dict[str, Any]] = [
        {"type": "CosineAnnealingLR", "T_max": total - warmup, "eta_min": 0.0,
         "begin": warmup, "end": total, "by_epoch": False}
    ]  # fmt: skip
    if warmup:
        rise = {"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup}
        schedule.insert(0, rise | {"by_epoch": False})
    loop = {"type": "EpochBasedTrainLoop", "max_epochs": params.epochs,
            "val_interval": max(1, params.epochs // 20)}  # fmt: skip
    return {"optim_wrapper": wrapper, "param_scheduler": schedule, "train_cfg": loop}


def _device(job: Job) -> dict[str, Any]:
    """Return what depends on CUDA and on the number of processes.

    Several processes on CUDA share the statistics of their batch normalization; on the CPU, where
    torch has no such layer, each normalizes by its own part of the batch.
    """
    from vigil.models import processes

    described: dict[str, Any] = {}
    if job.processes > 1:
        devices = [processes.local_rank()] if job.cuda else None
        described |= {
            "launcher": "pytorch",
            "model_wrapper_cfg": {"type": "MMDistributedDataParallel", "device_ids": devices,
                                  "broadcast_buffers": False},
            **({"sync_bn": "torch"} if job.cuda else {}),
        }  # fmt: skip
    return described


def _hooks(job: Job) -> list[dict[str, Any]]:
    """Return the hooks beside mmengine's own, in the order they act in."""
    hooks: list[dict[str, Any]] = [{"type": "ExactResume"}]
    if job.weights:
        hooks.append(
            {"type": "BeginWith", "weights": str(job.weights), "classes": job.config.classes}
        )
    if job.weights and job.params.anchor:
        hooks.append(
            {"type": "HoldOn", "weights": str(job.weights), "classes": job.config.classes,
             "anchor": job.params.anchor}
        )  # fmt: skip
    if job.params.ema_momentum:
        hooks.append(
            {"type": "EMAHook", "ema_type": "ExponentialMovingAverage",
             "momentum": job.params.ema_momentum}
        )  # fmt: skip
    if job.params.patience_epochs:
        hooks.append({"type": "StopEarly", "patience_epochs": job.params.patience_epochs})
    if job.rank == 0:
        hooks.append({"type": "DvcliveHook", "folder": str(job.run / "live")})
    return hooks
