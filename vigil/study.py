"""A study: several recognizers and recipes, cross-validated on one annotation file, in one table.

A study is a YAML file. Every row names a model and what it changes in the parameters, or a mean of
other rows' probabilities (`motion` is the baseline of motion statistics). Each row is trained once
per seed and fold; what is finished is kept, so a study goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from vigil import motion_baseline
from vigil.config import Config, Section, load, merge, one_line
from vigil.dataset import read_annotations, select, write_annotations
from vigil.errors import InputError
from vigil.evaluation import auc, measure, predict
from vigil.evaluation.scores import scores_of
from vigil.schema import atomic
from vigil.splits import Item, make_splits
from vigil.training import key, train

MOTION = "motion"
Probabilities = NDArray[np.float64]


class RowSection(Section):
    """One row of the table."""

    model: str = Field(default="", description="entry of models; empty for a mean of rows")
    change: dict[str, Any] = Field(default={}, description="laid over the study's parameters")
    mean: dict[str, float] = Field(default={}, description="weight of other rows' probabilities")


class StudySection(Section):
    """A study file."""

    title: str
    params: str = Field(description="parameter file that every row starts from")
    annotations: str = Field(description="annotation file, below VIGIL_REAL")
    clip_s: float = Field(gt=0, description="seconds of a clip")
    folds: int = Field(ge=2, le=10)
    seeds: tuple[int, ...] = Field(min_length=1)
    change: dict[str, Any] = Field(default={}, description="laid over the parameters for every row")
    rows: dict[str, RowSection]


@dataclass(frozen=True)
class Result:
    """What a row reached.

    Attributes:
        name: of the row.
        aucs: one per seed.
        accuracies: one per seed.
        metrics: of the probabilities averaged over seeds, with intervals; see `measure`.
        n: test clips, every clip once.
    """

    name: str
    aucs: list[float]
    accuracies: list[float]
    metrics: dict[str, Any]
    n: int


def read_study(path: Path) -> StudySection:
    """Read and check a study file.

    Raises:
        InputError: unreadable, an unknown key, or a mean of rows that are not above it.
    """
    try:
        study = StudySection.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise InputError(f"{path}: expected a study, got {' '.join(str(error).split())}") from error
    known = {MOTION}
    for name, row in study.rows.items():
        unknown = [member for member in row.mean if member not in known]
        if unknown or bool(row.model) == bool(row.mean):
            raise InputError(
                f"{path}: {name}: expected a model, or a mean of rows above it, got {unknown}"
            )
        known.add(name)
    return study


def configure(study: StudySection, root: Path, row: RowSection, seed: int) -> Config:
    """Return the parameters of one row and seed.

    Raises:
        InputError: the row changes something that does not exist.
    """
    base, _ = load(root / study.params)
    values = merge(merge(base.model_dump(), study.change), row.change)
    values = merge(values, {"recognizers": [row.model or base.recognizers[0]]})
    values = merge(values, {"train": {"all": {"seed": seed}}})
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(f"study: expected known parameters, got {one_line(error)}") from error


def prepare(study: StudySection, source: Path, out: Path) -> Path:
    """Write the annotations with folds that never divide a scene; return the new file.

    Raises:
        InputError: no annotation file, or rows without a scene.
    """
    _, rows = read_annotations(source)
    if any("scene" not in row for row in rows):
        raise InputError(f"{source}: expected a scene in every annotation, got rows without")
    for row in rows:
        row |= {"video_id": row["frame_dir"], "group": f"scene {row['scene']}",
                "duration_s": study.clip_s}  # fmt: skip
    items = [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]
    path = out / "annotations.pkl"
    write_annotations(path, make_splits(items, (0.8, 0.0, 0.2), study.folds, 0), rows)
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
    tasks = [
        (row.model, configure(study, root, row, seed), annotations, out, fold)
        for row in study.rows.values() if row.model
        for seed in study.seeds for fold in range(study.folds)
    ]  # fmt: skip
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for done, text in enumerate(pool.map(_finish, tasks), start=1):
            say(f"study: {done}/{len(tasks)} trainings, {text}")
    splits, rows = read_annotations(annotations)
    tests = [select(splits, rows, f"test_{fold}") for fold in range(study.folds)]
    config = configure(study, root, RowSection(), study.seeds[0])
    motion = _motion(splits, rows, tests, len(config.classes))
    found = {MOTION: [motion] * len(study.seeds)}
    for name, row in study.rows.items():
        found[name] = [
            _pooled(row.model, configure(study, root, row, seed), annotations, out, study.folds)
            if row.model
            else _mean([(found[member][k], weight) for member, weight in row.mean.items()])
            for k, seed in enumerate(study.seeds)
        ]
    order = [row for test in tests for row in test]
    return [_result(name, values, order, config) for name, values in found.items()]


def _pooled(model: str, config: Config, annotations: Path, out: Path, folds: int) -> Probabilities:
    """Return the kept test probabilities of all folds, one after the other."""
    parts = [np.load(_kept(model, config, annotations, out, fold)) for fold in range(folds)]
    return np.concatenate(parts)


def _kept(model: str, config: Config, annotations: Path, out: Path, fold: int) -> Path:
    """Return where the test probabilities of one training are kept."""
    return out / "probabilities" / f"{model}-{key(model, config, annotations, fold)}.npy"


def _finish(task: tuple[str, Config, Path, Path, int]) -> str:
    """Train and judge one fold unless that is done."""
    model, config, annotations, out, fold = task
    kept = _kept(*task)
    if not kept.is_file():
        folder = out / "models" / kept.stem
        train(model, config, annotations, folder, out / "work", fold)
        splits, rows = read_annotations(annotations)
        test = select(splits, rows, f"test_{fold}")
        with atomic(kept) as partial, partial.open("wb") as file:
            np.save(file, predict(folder, test).astype(np.float64))
    return kept.stem


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


def _result(
    name: str, values: Sequence[Probabilities], order: Sequence[dict[str, Any]], config: Config
) -> Result:
    """Score one row; intervals resample scenes, as clips of one scene resemble each other."""
    scenes = [row | {"video_id": row["group"]} for row in order]
    scores = scores_of(scenes, np.mean(values, axis=0))
    labels, normal = scores.labels, list(config.classes).index(config.normal_class)
    return Result(
        name,
        [auc(1 - found[:, normal], labels != normal) for found in values],
        [float((found.argmax(1) == labels).mean()) for found in values],
        measure(scores, config.classes, config.normal_class, config.evaluate),
        len(labels),
    )


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| | AUC, mean of seeds (least, greatest) | accuracy, mean of seeds "
        "| AUC of the seeds' mean, 95 % interval over scenes |",
        "|---|---|---|---|",
    ]
    for result in results:
        metric = result.metrics["auc"]
        lines.append(
            f"| {result.name} | {np.mean(result.aucs):.3f} "
            f"({min(result.aucs):.3f}, {max(result.aucs):.3f}) "
            f"| {np.mean(result.accuracies):.3f} "
            f"| {metric['value']:.3f} [{metric['low']:.3f}, {metric['high']:.3f}] |"
        )
    return "\n".join(lines) + "\n"
