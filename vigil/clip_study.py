"""The ablation of CLIP-GRU: which view, head and crop moves the frame AUC, in one table.

A study is a YAML file. Every row is a zero-shot system, a recognizer with what it changes in the
parameters, or a fusion of recognizers above it. Recognizers are trained on the project's own split,
once per seed, and every row is judged on the same frames of the same test videos. What is finished
is kept, so a study goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import Field, ValidationError

from vigil.config import Config, FusionSection, Section, View, merge, one_line
from vigil.dataset import read_annotations, select
from vigil.ensemble import Trained
from vigil.errors import InputError
from vigil.evaluation import auc, learn
from vigil.evaluation.frames import Pooled, measure_frames, pool, sources
from vigil.evaluation.metrics import Metric
from vigil.frame_judging import judge, read_footage, read_parts, read_truths
from vigil.frame_systems import System, class_shares, trained_system, zero_shot_system
from vigil.fusion import Fused
from vigil.html import interval
from vigil.paths import Paths
from vigil.training import key, train
from vigil.zero_shot import ZeroShot

_PENALTY = 0.1


class ClipRowSection(Section):
    """One row of the table."""

    view: View | None = Field(default=None, description="of a zero-shot system")
    model: str = Field(default="", description="entry of models")
    change: dict[str, Any] = Field(default={}, description="laid over the parameters")
    fuse: tuple[str, ...] = Field(default=(), description="two recognizers' rows above this one")


class ClipStudySection(Section):
    """A study file."""

    title: str
    seeds: tuple[int, ...] = Field(min_length=1, description="a training each")
    penalty: float = Field(default=_PENALTY, gt=0, description="of fusions, see `fusions`")
    rows: dict[str, ClipRowSection] = Field(min_length=1)


@dataclass(frozen=True)
class RowResult:
    """What a row reached.

    Attributes:
        name: of the row.
        aucs: pooled frame AUC of each seed; one where nothing is trained.
        metrics: of the scores averaged over seeds, with intervals over videos.
        over: by zero-shot row, how much higher the AUC is, with its interval.
        unseen: share of the frames on which nobody was there to judge.
    """

    name: str
    aucs: list[float]
    metrics: dict[str, Metric]
    over: dict[str, Metric]
    unseen: float


def read_clip_study(path: Path) -> ClipStudySection:
    """Read and check a study file.

    Raises:
        InputError: unreadable, an unknown key, or a row that is not one thing.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        study = ClipStudySection.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: expected a study: {one_line(error)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: expected a study, got {' '.join(str(error).split())}") from error
    trained: set[str] = set()
    for name, row in study.rows.items():
        kinds = [bool(row.view), bool(row.model), bool(row.fuse)]
        if sum(kinds) != 1 or not set(row.fuse) <= trained or len(row.fuse) == 1:
            raise InputError(
                f"{path}: {name}: expected a view, a model, or a fusion of models' rows above it"
            )
        if row.model:
            trained.add(name)
    return study


def configure(config: Config, row: ClipRowSection, seed: int) -> Config:
    """Return the parameters of a model's row and seed.

    Raises:
        InputError: the row changes something that does not exist.
    """
    values = merge(config.model_dump(), row.change)
    values = merge(values, {"train": {row.model: {"seed": seed}}})
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(f"study: expected known parameters, got {one_line(error)}") from error


def conduct(
    study: ClipStudySection,
    asked: ZeroShot,
    config: Config,
    paths: Paths,
    out: Path,
    say: Callable[[str], None],
) -> list[RowResult]:
    """Train and judge every row; see the module.

    Args:
        study: what to do.
        asked: the classes in words.
        config: all parameters.
        paths: of the project; dataset, tracks, embeddings and skeletons must be there.
        out: folder of finished and unfinished work.
        say: receives a line per finished row.
    """
    videos = read_parts(paths.dataset / "splits.csv").test
    truths, _ = read_truths(videos, config, paths)
    normal = config.classes.index(config.normal_class)
    found: dict[str, list[Pooled]] = {}
    for name, row in study.rows.items():
        found[name] = []
        for seed in study.seeds if row.view is None else study.seeds[:1]:
            system = _system(study, name, seed, asked, config, paths, out)
            said = [judge(system, read_footage(video, paths), config) for video in videos]
            found[name].append(pool(said, [truths[video] for video in videos], normal))
        say(f"{name}: frame AUC " + ", ".join(f"{_auc(one):.3f}" for one in found[name]))
    return _results(study, found, config)


def _system(
    study: ClipStudySection,
    name: str,
    seed: int,
    asked: ZeroShot,
    config: Config,
    paths: Paths,
    out: Path,
) -> System:
    """Return a row's system, trained where that is not done yet."""
    row = study.rows[name]
    if row.view is not None:
        return zero_shot_system(asked, row.view)
    annotations = paths.dataset / "annotations.pkl"
    splits, rows = read_annotations(annotations)
    shares = class_shares(select(splits, rows, "train"), len(config.classes))
    if row.fuse:
        members = [_trained(study.rows[one], seed, config, annotations, out) for one in row.fuse]
        names = tuple(study.rows[one].model for one in row.fuse)
        parts = "-".join(member.name for member in members)
        fused = Fused(out / "fusions" / parts, tuple(members))
        learn(fused, splits, rows, FusionSection(members=names, penalty=study.penalty))
        return trained_system("fused", fused, config, shares)
    trained: Trained = _trained(row, seed, config, annotations, out)
    return trained_system(row.model, trained, configure(config, row, seed), shares)


def _trained(row: ClipRowSection, seed: int, config: Config, annotations: Path, out: Path) -> Path:
    """Train a row's recognizer unless that is done; return its folder."""
    own = configure(config, row, seed)
    folder = out / "models" / f"{row.model}-{key(row.model, own, annotations, None)}"
    if not (folder / "model.json").is_file():
        train(row.model, own, annotations, folder, out / "work")
    return folder


def _auc(frames: Pooled) -> float:
    return auc(frames.score, frames.event)


def _results(
    study: ClipStudySection, found: Mapping[str, Sequence[Pooled]], config: Config
) -> list[RowResult]:
    means = {name: _mean(runs) for name, runs in found.items()}
    measured, gaps = measure_frames(means, config.classes, config.evaluate)
    baselines = [name for name, row in study.rows.items() if row.view is not None]
    return [
        RowResult(
            name,
            [_auc(run) for run in runs],
            measured[name],
            {base: gaps[name, base] for base in baselines if (name, base) in gaps},
            1.0 - sources(means[name])["judged"] / len(means[name].videos),
        )
        for name, runs in found.items()
    ]


def _mean(runs: Sequence[Pooled]) -> Pooled:
    """Return the frames with scores averaged over seeds."""
    score = np.mean([run.score for run in runs], axis=0)
    probabilities = np.mean([run.probabilities for run in runs], axis=0)
    return replace(runs[0], score=score, probabilities=probabilities)


def clip_table(results: Sequence[RowResult]) -> str:
    """Return the results as a Markdown table."""
    baselines = list(dict.fromkeys(base for result in results for base in result.over))
    classes = sorted({name for result in results for name in result.metrics
                      if name.startswith("auc_") and name != "auc_abnormal_videos"})  # fmt: skip
    header = ["", "frame AUC, mean of seeds (least, greatest)", "AUC of the seeds' mean, 95 %",
              *classes, *(f"over {base}" for base in baselines), "nobody there"]  # fmt: skip
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for result in results:
        cells = [
            result.name,
            f"{np.mean(result.aucs):.3f} ({min(result.aucs):.3f}, {max(result.aucs):.3f})",
            interval(result.metrics, "auc"),
            *(interval(result.metrics, name) for name in classes),
            *(interval(result.over, base) for base in baselines),
            f"{result.unseen:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
