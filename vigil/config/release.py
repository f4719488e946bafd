"""Sections of how a served model is judged, published, tried on live traffic and watched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from vigil.config.base import Fraction, Section
from vigil.config.place import S3Place, is_s3

Deciding = Literal["accuracy", "macro_precision", "macro_recall", "macro_f1", "auc",
                   "average_precision"]  # fmt: skip


class GateSection(Section):
    """`make verify`: what a candidate must hold against the served model."""

    tolerance: float = Field(gt=0, le=1e-1, description="largest difference to PyTorch, any row")
    tolerance_reduced: float = Field(
        gt=0, le=1e-1, description="below fp32, to its own answer at batch 1: roundings may tip"
    )
    max_shift: Fraction = Field(
        description="below fp32, how far a clip's probabilities may be from fp32's, mean over clips"
    )
    rows: int = Field(ge=8, le=10_000, description="most test rows used for parity")
    margins: dict[Deciding, Fraction] = Field(
        min_length=1,
        description="by metric: largest loss that is let pass while it is within noise",
    )
    margin_precision: Fraction = Field(
        description="likewise of a network's average precision, where boxes or joints are known"
    )
    clips: int = Field(
        ge=0, le=100_000, description="test clips that `behaviour` sees, whole videos; 0: all"
    )
    ground_truth: str = Field(
        description="folder of who is in the test videos, below the project; '': not known"
    )
    frames: int = Field(
        ge=0, le=100_000, description="of each test video whose boxes are known; 0: all"
    )
    concurrency: int = Field(ge=1, le=256, description="callers of the stated load")
    rounds: int = Field(ge=3, le=100, description="turns of both models under that load")
    seconds: float = Field(gt=0, description="window of one turn")
    warmup_s: float = Field(ge=0, description="load before each window, not counted")
    max_slowdown: float = Field(
        ge=1, le=100, description="largest latency, p50 or p95, as a multiple of the served one's"
    )


class ReleaseSection(Section):
    """The live repository, from which the service is served."""

    repository: str = Field(min_length=1, description="folder of the live repository, or s3://...")
    keep: int = Field(ge=2, le=1000, description="versions of a model that stay on disk")
    timeout_s: float = Field(gt=0, description="longest wait for the server to load a version")

    @field_validator("repository")
    @classmethod
    def _known_form(cls, value: str) -> str:
        if is_s3(value):
            S3Place.parse(value)
        return value


class CanarySection(Section):
    """A candidate on live traffic: a share of it, and the rule that ends the trial."""

    share: float = Field(gt=0, le=1, description="of the requests that the candidate sees as well")
    requests: int = Field(ge=10, description="compared requests before it can be promoted")
    min_agreement: Fraction = Field(description="share of rows with the served model's class")
    max_slowdown: float = Field(ge=1, le=100, description="median latency over the served one's")
    max_failures: int = Field(ge=0, description="requests that it may fail while served succeeds")
    timeout_s: float = Field(gt=0, description="longest wait for the candidate, then it failed")
    longest_s: float = Field(gt=0, description="without a decision by then it is withdrawn")


class WatchSection(Section):
    """The canary inferences that notice a server whose ready endpoint lies."""

    period_s: float = Field(gt=0, le=60, description="seconds between two looks")
    timeout_s: float = Field(gt=0, le=60, description="longest wait for a canary inference")
