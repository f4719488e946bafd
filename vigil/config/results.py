"""Sections of what is measured, exported, served and benchmarked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.config.base import Name, Section


class EvaluateSection(Section):
    """Stage `evaluate`."""

    bootstrap: int = Field(ge=100, le=100_000, description="resamples of videos for intervals")
    calibration_bins: int = Field(ge=2, le=50, description="bins of the calibration plot")
    mistakes: int = Field(ge=0, le=200, description="clips on the sheet of the worst mistakes")
    seed: int = Field(ge=0, description="random seed of the resampling")


class EnsembleSection(Section):
    """Several recognizers as one: the weighted mean of their probabilities."""

    members: dict[Name, Annotated[float, Field(gt=0, le=1000)]] = Field(
        min_length=2, description="weight by recognizer; only their ratios matter"
    )


class FusionSection(Section):
    """Several recognizers as one: a logistic regression on what they say of validation clips."""

    members: tuple[Name, ...] = Field(min_length=2, description="recognizers, each once")
    penalty: float = Field(
        gt=0, le=100, description="of leaving equal weights; with few validation clips 0.1 and more"
    )

    @model_validator(mode="after")
    def _members_are_distinct(self) -> FusionSection:
        if len(set(self.members)) != len(self.members):
            raise ValueError(f"members: expected each once, got {list(self.members)}")
        return self


Precision = Literal["fp32", "int8"]


class Int8Section(Section):
    """How a network is quantized statically: which clips tell its ranges, and what stays fp32."""

    clips: int = Field(
        ge=1, le=10_000, description="training clips that calibrate, drawn at random"
    )
    seed: int = Field(ge=0, description="of that draw")
    ranges: Literal["minmax", "percentile", "entropy"] = Field(
        description="how a tensor's range follows from what calibration saw of it"
    )
    operators: tuple[Literal["Conv", "MatMul", "Gemm"], ...] = Field(
        min_length=1, description="what is quantized; products of two activations never are"
    )


class ExportSection(Section):
    """Stage `export`."""

    max_batch: int = Field(ge=1, le=256, description="largest batch, checked for parity")
    tolerance: float = Field(gt=0, le=1e-2, description="largest difference torch to ONNX Runtime")
    config: Literal["cpu", "gpu"] = Field(description="which Triton configuration is served")
    cpu_instances: int = Field(ge=1, le=256, description="CPU configuration: one per core")
    crops: tuple[Name, ...] = Field(
        description="recognizers of embeddings that are also served behind CLIP, as <name>_crops"
    )
    precision: dict[Name, Precision] = Field(
        description="by recognizer, what it is served in; what is not named stays fp32"
    )
    keep_fp32: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        description="nodes whose names contain one of these stay fp32 in any precision"
    )
    int8: Int8Section

    def precision_of(self, name: str) -> Precision:
        """Return what the recognizer, ensemble or fusion `name` is served in."""
        return self.precision.get(name, "fp32")


class BehaviourLimits(Section):
    """What one served model from pixels to behavior takes and remembers."""

    max_frames: int = Field(ge=1, le=4096, description="frames of one request")
    max_pixels: int = Field(ge=1024, le=2**27, description="pixels of one frame")
    max_gap_s: float = Field(gt=0, le=3600, description="longest time between two frames")
    idle_s: float = Field(gt=0, le=86_400, description="a stream silent for longer is forgotten")
    streams: int = Field(ge=1, le=1024, description="streams remembered at once")


class BehaviourSection(BehaviourLimits):
    """Frames in, behavior of everybody out, by one served model."""

    recognizers: tuple[Name, ...] = Field(description="who judges; []: all recognizers")


class TuneServingSection(Section):
    """`make tune-serving`: how a model is served on this machine, by measurement."""

    seconds: float = Field(gt=0, description="measured window of each trial and load")
    rounds: int = Field(ge=1, le=100, description="how often every trial takes its turn")
    concurrency: int = Field(ge=2, le=1024, description="callers of the load")
    delays_us: tuple[Annotated[int, Field(ge=0, le=1_000_000)], ...] = Field(
        min_length=1, description="microseconds that a request may wait for company"
    )
    least_gain: float = Field(ge=1, description="batch gain from which batches are tried at all")


class ServeSection(Section):
    """The embedded Triton server."""

    http_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    grpc_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    metrics_port: int = Field(ge=0, le=65535, description="0 takes a free port")
    front_port: int = Field(ge=0, le=65535, description="of `vigil-serve front`, likewise")
    front_grpc_port: int = Field(ge=0, le=65535, description="its gRPC, likewise")
    startup_timeout_s: float = Field(gt=0, description="seconds until every model must be ready")
