"""Sections of what systems say of single frames: zero-shot prompts, frame scores, alarms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.config.base import Fraction, Section

View = Literal["frame", "box", "pair"]


class ZeroShotSection(Section):
    """CLIP asked in words; needs no labels."""

    prompts: str = Field(description="YAML file of sentences per class, beside this file")
    views: tuple[View, ...] = Field(
        min_length=1,
        description="systems: the whole frame, each person, or persons and pairs of near people",
    )
    top_share: Annotated[float, Field(gt=0, le=1)] = Field(
        description="a clip's score is the mean over this share of its moments, highest first"
    )


class AlarmSection(Section):
    """When a rising score becomes an alarm: n of m steps, each counted once."""

    step_s: float = Field(gt=0, le=10, description="seconds between looks at the score")
    n: int = Field(ge=1, le=1000, description="looks above the threshold that raise an alarm")
    m: int = Field(ge=1, le=1000, description="of so many last looks; none above ends it")
    repeat_s: float = Field(
        gt=0, description="an alarm that still stands after so long counts again"
    )
    slack_s: float = Field(ge=0, description="an alarm so long before or after an event is its own")
    max_false_per_hour: float = Field(
        ge=0, description="false alarms on validation videos that the threshold may cause"
    )

    @model_validator(mode="after")
    def _n_of_m(self) -> AlarmSection:
        if self.n > self.m:
            raise ValueError(f"expected n of at most m looks, got {self.n} of {self.m}")
        return self


class FramesSection(Section):
    """Stage `frames`: every system's score of every frame, and how good it is."""

    without_track: Literal["carry", "whole_frame"] = Field(
        description="frames without anybody: the last score fading into the whole frame's, or that"
    )
    half_life_s: float = Field(gt=0, le=600, description="seconds after which half has faded")
    stride_s: float = Field(gt=0, le=60, description="seconds between a recognizer's windows")
    anchor: Literal["center", "end"] = Field(
        description="moment a window speaks of; end: what a live camera can know"
    )
    alarm: AlarmSection
    ground_truth: str = Field(
        description="demo only: folder of true boxes, to tell what misses cost; '': none"
    )
    match_iou: Fraction = Field(description="least IoU of a true box with the track that found it")
