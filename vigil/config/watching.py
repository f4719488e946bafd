"""Sections of what is written of requests, and how what is served is held against the training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vigil.config.base import Section

Part = Literal["train", "val", "test"]


class RequestLogSection(Section):
    """What is written of each request: see `vigil.watching.log`."""

    folder: str = Field(min_length=1, description="of the logs, one file a model")
    max_bytes: int = Field(ge=10_000, description="of one file; then it is rotated")
    keep: int = Field(ge=1, le=1000, description="rotated files of a model that stay")
    waiting: int = Field(ge=1, description="lines that may wait for the disk; others are dropped")
    rows: int = Field(ge=1, le=10_000, description="rows of one request that are described")


class ReferenceSection(Section):
    """`reference`: what inputs and answers looked like when the recognizer was made."""

    inputs: tuple[Part, ...] = Field(min_length=1, description="splits whose inputs are described")
    answers: tuple[Part, ...] = Field(
        min_length=1,
        description="splits whose answers are; of clips it learned from they are too certain",
    )
    bins: int = Field(ge=2, le=50, description="most bins of a feature, equally full")
    least: int = Field(ge=1, description="fewest values in a bin")


class DriftSection(Section):
    """`drift`: what is served, held against the reference."""

    warn: float = Field(gt=0, description="PSI beyond chance from which a feature is watched")
    alarm: float = Field(gt=0, description="PSI beyond chance from which it raises an alarm")
    level: float = Field(gt=0, lt=0.5, description="chance of any false alarm of one model")
    resamples: int = Field(ge=200, le=100_000, description="draws of the null band")
    block_s: float = Field(
        gt=0, description="windows of one source within so many seconds belong together"
    )
    least: int = Field(ge=10, description="fewest values of a feature that are judged")
    least_groups: int = Field(ge=2, description="fewest videos of a reference that judges")
    sample: int = Field(ge=0, description="most uncertain windows handed to labeling")
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _alarms_come_after_warnings(self) -> DriftSection:
        if self.warn > self.alarm:
            raise ValueError(f"expected warn <= alarm, got {self.warn} and {self.alarm}")
        return self
