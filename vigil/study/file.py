"""What a study file says, and the parameters that follow from it for one row and seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from vigil.config import Config, Section, load, merge, one_line
from vigil.errors import InputError

MOTION = "motion"


class RowSection(Section):
    """One row of the table: a model that is trained, or a mean of rows above it."""

    model: str = Field(default="", description="entry of models; empty for a mean of rows")
    simulated: bool = Field(default=False, description="trained on simulated scenes alone")
    begin: str = Field(default="", description="row above whose weights of the same seed it takes")
    shipped: str = Field(
        default="", pattern=r"^(demo/[a-z0-9_]+)?$", description="weights judged as they are"
    )
    change: dict[str, Any] = Field(default={}, description="laid over the study's parameters")
    mean: dict[str, float] = Field(default={}, description="weight of other rows' probabilities")


class DisturbanceSection(Section):
    """How joints of simulated scenes are disturbed; see `vigil.demo.strain.Strained`."""

    noise: float = Field(default=0.1, ge=0, le=1, description="of a joint, in body extents")
    lost_joint: float = Field(default=0.08, ge=0, le=1, description="share of joints lost")
    lost_frame: float = Field(default=0.15, ge=0, le=1, description="share of frames lost")
    gap: float = Field(default=0.4, ge=0, le=1, description="chance of being lost for long")
    switch: float = Field(default=0.15, ge=0, le=1, description="chance of another identity")
    swap: float = Field(default=0.25, ge=0, le=1, description="left and right taken for each other")
    motion: float = Field(default=0, ge=0, le=20, description="worse by speed, per extent a second")
    overlap: float = Field(
        default=0, ge=0, le=20, description="worse where people cover each other"
    )
    fade: float = Field(default=0, ge=0, le=20, description="how far scores fall where it is worse")


class SimulateSection(Section):
    """The simulated scenes that rows with `simulated` are trained on."""

    scenes: int = Field(ge=20, le=1_000_000, description="scenes; a twentieth validates")
    seed: int = Field(ge=0, lt=100, description="random seed of the scenes")
    stride_s: float = Field(gt=0, description="seconds from window to window, each clip_s long")
    disturb: DisturbanceSection = DisturbanceSection()


class StudySection(Section):
    """A study file."""

    title: str
    params: str = Field(description="parameter file that every row starts from")
    annotations: str = Field(description="annotation file, below the project or below VIGIL_REAL")
    clip_s: float = Field(gt=0, description="seconds of a clip")
    folds: int = Field(ge=2, le=10)
    seeds: tuple[int, ...] = Field(min_length=1)
    simulate: SimulateSection | None = Field(default=None, description="scenes to pretrain on")
    change: dict[str, Any] = Field(default={}, description="laid over the parameters for every row")
    rows: dict[str, RowSection]


def read_study(path: Path) -> StudySection:
    """Read and check a study file.

    Raises:
        InputError: unreadable, an unknown key, or a row that builds on one that is not above it.
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
        if row.begin and not (row.begin in known and study.rows[row.begin].simulated):
            raise InputError(
                f"{path}: {name}: begin: expected a simulated row above it, got {row.begin}"
            )
        if row.simulated and study.simulate is None:
            raise InputError(f"{path}: {name}: simulated: expected a section simulate, got none")
        if sum(map(bool, (row.begin, row.simulated, row.shipped))) > 1:
            raise InputError(f"{path}: {name}: expected one of begin, simulated and shipped")
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
