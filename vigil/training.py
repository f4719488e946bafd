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
from dataclasses import replace
from pathlib import Path
from typing import Any

from vigil import compat, models
from vigil.config import Config, SequenceSection, TrainSection
from vigil.dataset import EMBEDDINGS, read_annotations, select
from vigil.errors import InputError, ModelError
from vigil.items import file_hash
from vigil.models import processes
from vigil.models.reading import SequenceReading
from vigil.models.runner import Job, runner_config
from vigil.models.store import ModelSpec, save
from vigil.splits import split_name
from vigil.weights import entry, fetch

_LOG = logging.getLogger("vigil.training")
_CODE = "5"  # raise when a change of the code changes what a training gives


def key(name: str, config: Config, annotations: Path, fold: int | None) -> str:
    """Return the content key of a training: all that decides its result, the code's version too."""
    params = config.training(name)
    begun = initial(params.init, annotations.parent) if params.init else None
    parts = [
        _CODE, name, list(config.classes), fold, processes.count(),
        file_hash(begun) if begun and begun.is_file() else None,
        models.section(config.models, name).model_dump(mode="json"),
        config.dataset.model_dump(mode="json"),
        params.model_dump(mode="json"),
        hashlib.sha256(annotations.read_bytes()).hexdigest(),
    ]  # fmt: skip
    beside = annotations.with_name(EMBEDDINGS)
    if isinstance(models.section(config.models, name), SequenceSection) and beside.is_file():
        parts.append(file_hash(beside))
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
    job, training, validation = _job(name, config, annotations, work, fold)
    compat.apply()
    import torch
    from mmengine.config import Config as RunnerConfig
    from mmengine.runner import Runner

    from vigil.models import loop_hooks, training_hooks  # noqa: F401  their classes are registered
    from vigil.models.calibrating import calibrated
    from vigil.models.settling import SettledValidation, Settler

    torch.set_num_threads(job.params.threads)
    spec = _taught(name, config, training)
    settle = Settler(spec, training, job.params)
    try:
        # Formatting the config as code, seven times, takes longer than a short training.
        runner = Runner.from_cfg(RunnerConfig(runner_config(job), format_python_code=False))
        runner.logger.addFilter(_is_news)
        runner.register_hook(SettledValidation(settle))
        if job.params.compile and job.cuda:
            compile_backbone(runner.model)
        runner.train()
    finally:
        _close_logs()
    if job.rank == 0:
        chosen = _chosen(job.run, job.params)
        state = torch.load(chosen, map_location="cpu", weights_only=True)["state_dict"]
        weights = settle(state)
        if job.params.calibrate and validation:
            spec = calibrated(spec, weights, validation)
        save(out, weights, spec)
    processes.wait()
    return job.run


def _job(
    name: str, config: Config, annotations: Path, work: Path, fold: int | None
) -> tuple[Job, list[dict[str, Any]], list[dict[str, Any]]]:
    """Check what a training needs; return it with its training and its validation clips."""
    import torch

    splits, rows = read_annotations(annotations)
    training = select(splits, rows, split_name("train", fold))
    validation = select(splits, rows, split_name("val", fold))
    params, together = config.training(name), processes.count()
    if len(training) < 2:
        raise InputError(f"train: expected at least 2 training clips, got {len(training)}")
    _taught(name, config, [*training, *validation])
    if not validation and (params.select == "best" or params.patience_epochs):
        raise InputError("train: select: best and patience_epochs expect validation clips, got 0")
    if params.batch_size % together:
        raise InputError(
            f"train: batch_size: expected a multiple of {together} processes, "
            f"got {params.batch_size}"
        )
    cuda = torch.cuda.is_available()
    if (params.amp or params.compile) and not cuda:
        _LOG.warning("train: amp and compile need CUDA; training in float32, not compiled")
    weights = initial(params.init, work) if params.init else None
    job = Job(
        name=name, config=config, annotations=annotations,
        run=work / f"{name}-{key(name, config, annotations, fold)}", fold=fold,
        labels=[row["label"] for row in training], validate=bool(validation), weights=weights,
        cuda=cuda, processes=together, rank=processes.rank(),
    )  # fmt: skip
    return job, training, validation


def _taught(name: str, config: Config, rows: Sequence[dict[str, Any]]) -> ModelSpec:
    """Return the recognizer's spec, its embeddings those of `rows`.

    Raises:
        InputError: it reads embeddings and a row has none, or of another width or CLIP.
    """
    spec = ModelSpec.of(name, config.classes, config.models, config.dataset)
    if not isinstance(spec.reads, SequenceReading):
        return spec
    reads = replace(spec.reads, clip=str(rows[0].get("clip", "")))
    for row in rows:
        reads.check(row)
    return replace(spec, reads=reads)


def initial(source: str, work: Path) -> Path:
    """Return the weights file that `train.init` names; what is shipped is fetched into `work`."""
    if source.startswith("demo/"):
        return fetch(entry("demo", source.removeprefix("demo/")), work)
    folder = Path(source)
    return folder / "model.safetensors" if folder.is_dir() else folder


def compile_backbone(model: Any, **options: Any) -> None:
    """Have torch compile a recognizer's backbone in place; names of weights stay as they are.

    mmengine's own `compile` takes the whole `train_step`, optimizer and all, and fails in its mixed
    precision (mmengine 0.10.7).

    Args:
        model: a recognizer, also in the wrapper that several processes put around it.
        options: of `torch.nn.Module.compile`.
    """
    getattr(model, "module", model).backbone.compile(**options)


def _chosen(run: Path, params: TrainSection) -> Path:
    """Return the checkpoint to keep: the best by validation loss, or the last."""
    best = sorted(run.glob("best_*.pth"))
    if params.select == "best" and best:
        return best[-1]
    from vigil.models.checkpoints import latest

    last = latest(run)
    if last is None:
        raise ModelError(f"{run}: expected a checkpoint, got none")
    return last


def _is_news(record: logging.LogRecord) -> bool:
    """False for what mmengine says at every training of its own file backend's future."""
    return not any(name in record.getMessage() for name in ("FileClient", "HardDiskBackend"))


def _close_logs() -> None:
    """Close the log files that mmengine leaves open."""
    from mmengine.logging import MMLogger

    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if isinstance(handler, logging.FileHandler):
                handler.close()
                logger.removeHandler(handler)
