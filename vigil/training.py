"""Train one recognizer with mmengine's Runner: resumable, logged as it goes.

Work goes on in a folder named after everything that decides the result, so a killed run continues
where it stopped and a changed parameter starts anew. The finished weights are written to the
model's folder at the end.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil import compat, models
from vigil.config import Config, TrainSection
from vigil.dataset import read_annotations, select, tensors
from vigil.errors import InputError
from vigil.items import file_hash
from vigil.models.store import ModelSpec, begin, build, save, served
from vigil.splits import split_name
from vigil.weights import entry, fetch

_CODE = "2"  # raise when a change of the code changes what a training gives


def key(name: str, config: Config, annotations: Path, fold: int | None) -> str:
    """Return the content key of a training: data, parameters, classes, fold and code version."""
    params = config.training(name)
    initial = _initial(params.init, annotations.parent) if params.init else None
    parts = [
        _CODE, name, list(config.classes), fold,
        file_hash(initial) if initial and initial.is_file() else None,
        models.section(config.models, name).model_dump(mode="json"),
        config.dataset.model_dump(mode="json"),
        params.model_dump(mode="json"),
        hashlib.sha256(annotations.read_bytes()).hexdigest(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def train(
    name: str, config: Config, annotations: Path, out: Path, work: Path, fold: int | None = None
) -> Path:
    """Train the recognizer `name` and write its weights.

    Args:
        name: a recognizer of `vigil.models`.
        config: all parameters; `train`, `dataset` and the model's section are used.
        annotations: the annotation file.
        out: folder for `model.safetensors` and `model.json`.
        work: folder for unfinished work; a subfolder per content key is made in it.
        fold: cross-validation fold, or None for the plain split.

    Returns:
        The folder of the run: checkpoints, mmengine's log and dvclive's metrics.

    Raises:
        InputError: an unknown model or split, or an unreadable annotation file.
    """
    splits, rows = read_annotations(annotations)
    training = select(splits, rows, split_name("train", fold))
    validation = select(splits, rows, split_name("val", fold))
    if len(training) < 2:
        raise InputError(f"train: expected at least 2 training clips, got {len(training)}")
    compat.apply()
    import torch
    from mmengine.config import Config as RunnerConfig
    from mmengine.runner import Runner

    from vigil.models import training_hooks

    params = config.training(name)
    torch.set_num_threads(params.threads)
    run = work / f"{name}-{key(name, config, annotations, fold)}"
    described = runner_config(name, config, annotations, run, fold, training, bool(validation))
    described["custom_hooks"] += training_hooks.configs(run, params)
    runner = Runner.from_cfg(RunnerConfig(described))
    if params.init:
        runner.model.init_weights()  # or the runner would, over the given weights
        begin(runner.model, _initial(params.init, work))
    try:
        runner.train()
    finally:
        _close_logs()
    chosen = _chosen(run, params)
    state = torch.load(chosen, map_location="cpu", weights_only=True)["state_dict"]
    spec = ModelSpec.of(name, config.classes, config.models, config.dataset)
    save(out, settle(state, spec, training, config), spec)
    return run


def _initial(source: str, work: Path) -> Path:
    """Return the weights file that `train.init` names; see `TrainSection.init`."""
    if source.startswith("demo/"):
        return fetch(entry("demo", source.removeprefix("demo/")), work)
    folder = Path(source)
    return folder / "model.safetensors" if folder.is_dir() else folder


def settle(
    state: dict[str, Any], spec: ModelSpec, rows: Sequence[dict[str, Any]], config: Config
) -> dict[str, Any]:
    """Measure the normalization layers' statistics anew, over unchanged training clips.

    The running ones lag behind in a short training, belong to other weights than the averaged
    ones, and have seen augmented clips only.

    Args:
        state: trained weights, with or without the training-only branch.
        spec: what they belong to.
        rows: training annotations.
        config: batch size and sampling.

    Returns:
        The state dict of the served network with fresh statistics.
    """
    import torch

    recognizer = build(spec)
    recognizer.load_state_dict(served(state))
    graph = recognizer.inference_graph()
    norms = [m for m in graph.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    keypoints, sizes, _ = tensors(rows, config.dataset)
    order = np.random.default_rng(config.training(spec.name).seed).permutation(len(rows))
    count = max(1, len(rows) // (2 * config.training(spec.name).batch_size))
    with torch.no_grad():
        for part in np.array_split(order, count):
            graph(torch.from_numpy(keypoints[part]), torch.from_numpy(sizes[part]))
    settled: dict[str, Any] = recognizer.state_dict()
    return settled


def runner_config(
    name: str,
    config: Config,
    annotations: Path,
    run: Path,
    fold: int | None,
    training: Sequence[dict[str, Any]],
    validate: bool,
) -> dict[str, Any]:
    """Return the config of mmengine's Runner for one training; see `train`."""
    params = config.training(name)
    described = _schedule(params, -(-len(training) // params.batch_size)) | {
        "model": _model(name, config, training),
        "work_dir": str(run),
        "train_dataloader": _loader(name, config, annotations, split_name("train", fold), True),
        "resume": True,
        "default_scope": "mmaction",
        "randomness": {"seed": params.seed},
        "log_level": "WARNING",
        "default_hooks": {
            "logger": {"type": "LoggerHook", "interval": 10_000, "log_metric_by_epoch": True},
            "checkpoint": {"type": "CheckpointHook", "interval": 1,
                           "max_keep_ckpts": 1,
                           **({"save_best": "val/loss", "rule": "less"} if validate else {})},
        },
        "custom_hooks": [],
    }  # fmt: skip
    if validate:
        described |= {
            "val_cfg": {"type": "ValLoop"},
            "val_dataloader": _loader(name, config, annotations, split_name("val", fold), False),
            "val_evaluator": [{"type": "ClassificationMetric", "classes": len(config.classes)}],
        }
    return described


def _model(name: str, config: Config, training: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the model's config, its loss weighted by class where asked for."""
    params = config.training(name)
    section = models.section(config.models, name)
    model = models.model_config(section, len(config.classes), params)
    counts = np.bincount([row["label"] for row in training], minlength=len(config.classes))
    if params.balance:
        weights = counts.sum() / (np.maximum(counts, 1) * max((counts > 0).sum(), 1))
        loss = {"type": "CrossEntropyLoss", "class_weight": [float(w) for w in weights]}
        model["cls_head"]["loss_cls"] = loss
    return model


def _loader(
    name: str, config: Config, annotations: Path, split: str, training: bool
) -> dict[str, Any]:
    """Return a dataloader config over the split `split`."""
    from vigil.models.pipeline import pipeline

    params = config.training(name)
    return {
        "batch_size": params.batch_size,
        "num_workers": 0,
        "drop_last": False,
        "sampler": {"type": "DefaultSampler", "shuffle": training},
        "collate_fn": {"type": "pseudo_collate"},
        "dataset": {
            "type": "AnnotationDataset",
            "ann_file": str(annotations),
            "split": split,
            "pipeline": pipeline(config.dataset, params.augment if training else None),
            "test_mode": not training,
        },
    }


def _schedule(params: TrainSection, steps: int) -> dict[str, Any]:
    """Return optimizer, per-step cosine schedule with warm-up, and the epoch loop."""
    optimizer: dict[str, Any] = {"type": "AdamW", "lr": params.lr}
    if params.optimizer == "sgd":
        optimizer = {"type": "SGD", "lr": params.lr, "momentum": 0.9, "nesterov": True}
    wrapper: dict[str, Any] = {
        "type": "OptimWrapper",
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


def _chosen(run: Path, params: TrainSection) -> Path:
    """Return the checkpoint to keep: the best by validation loss, or the last."""
    best = sorted(run.glob("best_*.pth"))
    if params.select == "best" and best:
        return best[-1]
    return Path((run / "last_checkpoint").read_text(encoding="utf-8").strip())


def _close_logs() -> None:
    """Close the log files that mmengine leaves open."""
    from mmengine.logging import MMLogger

    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                handler.close()
                logger.removeHandler(handler)
