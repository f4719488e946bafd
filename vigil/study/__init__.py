"""A study: several recognizers and recipes, cross-validated on one annotation file, in one table.

A study is a YAML file. Every row names a model and what it changes in the parameters, or a mean of
other rows' probabilities (`motion` is the baseline of motion statistics). Each row is trained once
per seed and fold, or once per seed on simulated scenes; what is finished is kept, so a study goes
on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from vigil import motion_baseline
from vigil.config import Config, merge, one_line
from vigil.dataset import read_annotations, select, write_annotations
from vigil.demo.simulated import simulate
from vigil.demo.strain import Strained
from vigil.errors import InputError
from vigil.evaluation import predict
from vigil.models import store
from vigil.schema import atomic
from vigil.splits import Item, make_splits
from vigil.study.file import (
    MOTION,
    RowSection,
    SimulateSection,
    StudySection,
    configure,
    read_study,
)
from vigil.study.results import Probabilities, Result, result, table
from vigil.training import initial, key, train
from vigil.workers import worker_pool

__all__ = ["Result", "StudySection", "conduct", "configure", "prepare", "read_study", "table"]

_SIMULATION = "1"  # raise when a change of the code changes the simulated scenes


@dataclass(frozen=True)
class _Task:
    """One training: of a row, a seed, and a fold or the simulated scenes."""

    model: str
    config: Config
    annotations: Path
    out: Path
    fold: int | None

    @cached_property
    def name(self) -> str:
        """What its files are called: all that decides the result."""
        return f"{self.model}-{key(self.model, self.config, self.annotations, self.fold)}"

    @property
    def folder(self) -> Path:
        """Where the trained model lies."""
        return self.out / "models" / self.name

    def kept(self, test: int) -> Path:
        """Where the probabilities of one fold's test clips lie."""
        return self.out / "probabilities" / f"{self.name}-{test}.npy"


def prepare(study: StudySection, source: Path, out: Path) -> Path:
    """Write the annotations with folds that never divide a scene; return the new file.

    Raises:
        InputError: no annotation file, or rows without a scene or group.
    """
    _, rows = read_annotations(source)
    if any("scene" not in row and "group" not in row for row in rows):
        raise InputError(f"{source}: expected a scene in every annotation, got rows without")
    for row in rows:
        scene = f"scene {row['scene']}" if "scene" in row else row["group"]
        row |= {"video_id": row.get("video_id", row["frame_dir"]), "group": scene,
                "duration_s": row.get("duration_s", study.clip_s)}  # fmt: skip
    items = [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]
    path = out / "annotations.pkl"
    write_annotations(path, make_splits(items, (0.8, 0.0, 0.2), study.folds, 0), rows)
    return path


def scenes(study: StudySection, section: SimulateSection, root: Path, out: Path) -> Path:
    """Simulate the scenes that rows are pretrained on, unless that is done; return the file."""
    config = configure(study, root, RowSection(), study.seeds[0])
    clips = {"length_s": study.clip_s, "stride_s": section.stride_s, "min_length_s": study.clip_s}
    try:
        config = Config.model_validate(merge(config.model_dump(), {"clips": clips}))
    except ValidationError as error:
        raise InputError(f"study: simulate: expected windows, got {one_line(error)}") from error
    parts = [_SIMULATION, section.model_dump(), clips, config.classes]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    path = out / f"simulated-{digest}.pkl"
    if not path.is_file():
        errors = Strained(**section.disturb.model_dump())
        simulate(path, section.scenes, config, section.seed, config.workers or None, errors)
    return path


def conduct(
    study: StudySection,
    root: Path,
    source: Path,
    out: Path,
    workers: int,
    say: Callable[[str], None],
) -> list[Result]:
    """Train and judge every row; see the module.

    Args:
        study: what to do.
        root: project folder, where the parameter file lies.
        source: annotation file.
        out: folder of unfinished and finished work.
        workers: processes.
        say: receives a line per finished training.

    Returns:
        One result per row, the motion baseline first.
    """
    annotations = prepare(study, source, out)
    simulated = scenes(study, study.simulate, root, out) if study.simulate else annotations
    first = _tasks(study, root, (annotations, simulated), out, lambda row: row.simulated)
    _work(first, study.folds, annotations, workers, say)
    rest = _tasks(study, root, (annotations, simulated), out, lambda row: not row.simulated)
    _work(rest, study.folds, annotations, workers, say)
    splits, rows = read_annotations(annotations)
    tests = [select(splits, rows, f"test_{fold}") for fold in range(study.folds)]
    config = configure(study, root, RowSection(), study.seeds[0])
    found = {MOTION: [_motion(splits, rows, tests, len(config.classes))] * len(study.seeds)}
    by_row = first | rest
    for name, row in study.rows.items():
        if row.shipped:
            config = configure(study, root, row, study.seeds[0])
            found[name] = [as_shipped(row.model, row.shipped, config, tests, out)] * len(
                study.seeds
            )
            continue
        found[name] = [
            _pooled(by_row[name, seed], study.folds)
            if row.model
            else _mean([(found[member][k], weight) for member, weight in row.mean.items()])
            for k, seed in enumerate(study.seeds)
        ]
    order = [row for test in tests for row in test]
    return [result(name, values, order, config) for name, values in found.items()]


def _tasks(
    study: StudySection,
    root: Path,
    files: tuple[Path, Path],
    out: Path,
    wanted: Callable[[RowSection], bool],
) -> dict[tuple[str, int], list[_Task]]:
    """Return the trainings of the wanted rows, by row and seed.

    Args:
        study: what to do.
        root: project folder.
        files: the real and the simulated annotations.
        out: see `conduct`.
        wanted: which rows.
    """
    found = {}
    for name, row in study.rows.items():
        if not row.model or row.shipped or not wanted(row):
            continue
        for seed in study.seeds:
            if row.begin:
                before = study.rows[row.begin]
                task = _Task(
                    before.model, configure(study, root, before, seed), files[1], out, None
                )
                begin = {"train": {"all": {"init": str(task.folder)}}}
                row = row.model_copy(update={"change": merge(row.change, begin)})
            config = configure(study, root, row, seed)
            folds = [None] if row.simulated else range(study.folds)
            file = files[1] if row.simulated else files[0]
            found[name, seed] = [_Task(row.model, config, file, out, fold) for fold in folds]
    return found


def _work(
    tasks: Mapping[tuple[str, int], Sequence[_Task]],
    folds: int,
    annotations: Path,
    workers: int,
    say: Callable[[str], None],
) -> None:
    """Train and judge what is not done yet."""
    every = [task for group in tasks.values() for task in group]
    with worker_pool(workers) as running:
        work = partial(_finish, folds=folds, annotations=annotations)
        for done, text in enumerate(running.map(work, every), start=1):
            say(f"study: {done}/{len(every)} trainings, {text}")


def _finish(task: _Task, folds: int, annotations: Path) -> str:
    """Train one task and judge the test clips of its fold, or of all, unless that is done."""
    tests = range(folds) if task.fold is None else [task.fold]
    missing = [test for test in tests if not task.kept(test).is_file()]
    if missing and not (task.folder / "model.json").is_file():
        train(task.model, task.config, task.annotations, task.folder, task.out / "work", task.fold)
    splits, rows = read_annotations(annotations)
    for test in missing:
        clips = select(splits, rows, f"test_{test}")
        values = predict(task.folder, clips).astype(np.float64)
        with atomic(task.kept(test)) as partly, partly.open("wb") as file:
            np.save(file, values)
    return task.name


def as_shipped(
    model: str,
    source: str,
    config: Config,
    tests: Sequence[Sequence[dict[str, Any]]],
    out: Path,
) -> Probabilities:
    """Let shipped weights judge clips as they are; what they say of other classes is left out.

    Args:
        model: entry of `models` that they are of.
        source: see `train.init`.
        config: classes, models and the section `dataset`.
        tests: the clips, fold by fold.
        out: see `conduct`.

    Returns:
        (N, classes) probabilities, summing to 1.

    Raises:
        InputError: the weights do not know every class.
    """
    weights = initial(source, out)
    named = store.classes_of(weights) or list(config.classes)
    unknown = [name for name in config.classes if name not in named]
    if unknown:
        raise InputError(f"study: {source}: expected weights of {unknown}, got {named}")
    spec = store.ModelSpec.of(model, tuple(named), config.models, config.dataset)
    recognizer = store.build(spec)
    store.begin(recognizer, weights, named)
    folder = out / "models" / f"shipped-{model}"
    store.save(folder, recognizer.state_dict(), spec)
    found = [predict(folder, clips).astype(np.float64) for clips in tests]
    kept = np.concatenate(found)[:, [named.index(name) for name in config.classes]]
    return np.asarray(kept / kept.sum(axis=1, keepdims=True))


def _pooled(tasks: Sequence[_Task], folds: int) -> Probabilities:
    """Return the kept test probabilities of all folds, one after the other."""
    by_fold = [tasks[0] if tasks[0].fold is None else tasks[fold] for fold in range(folds)]
    return np.concatenate([np.load(task.kept(fold)) for fold, task in enumerate(by_fold)])


def _motion(
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    tests: Sequence[Sequence[dict[str, Any]]],
    classes: int,
) -> Probabilities:
    """Return the motion baseline's probabilities, fold by fold."""
    parts = [
        motion_baseline.fit_predict(select(splits, rows, f"train_{fold}"), test, classes)
        for fold, test in enumerate(tests)
    ]
    return np.concatenate(parts)


def _mean(members: Sequence[tuple[Probabilities, float]]) -> Probabilities:
    """Return the weighted mean of probabilities."""
    total = sum(weight for _, weight in members)
    return np.asarray(sum(values * (weight / total) for values, weight in members))
