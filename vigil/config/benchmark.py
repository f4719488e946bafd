"""Section of the benchmark."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vigil.config.base import Section

BenchmarkProtocol = Literal["http", "grpc", "http_shm", "grpc_shm"]
BenchmarkSystem = Literal[
    "pytorch",
    "pytorch_batched",
    "onnxruntime",
    "onnxruntime_batched",
    "triton_no_batching",
    "triton_dynamic_batching",
]
Concurrency = Annotated[int, Field(ge=1, le=1024)]
Share = Annotated[float, Field(gt=0, le=2)]


class BenchmarkDemoSection(Section):
    """The short benchmark at the end of `make demo`."""

    systems: tuple[BenchmarkSystem, ...] = Field(min_length=1)
    protocols: tuple[BenchmarkProtocol, ...] = Field(min_length=1)
    concurrencies: tuple[Concurrency, ...] = Field(min_length=1)
    window_s: float = Field(gt=0, le=60)
    warmup_s: float = Field(ge=0, le=60)
    max_windows: int = Field(ge=1, le=10)


class BenchmarkSection(Section):
    """`make bench`: load on the served recognizer, and on what it is compared with."""

    model: str = Field(description="recognizer or ensemble to load")
    systems: tuple[BenchmarkSystem, ...] = Field(min_length=1, description="ways to run it")
    protocols: tuple[BenchmarkProtocol, ...] = Field(
        min_length=1, description="ways to ask a server; _shm: tensors in shared memory"
    )
    concurrencies: tuple[Concurrency, ...] = Field(min_length=1, description="closed-loop sweep")
    window_s: float = Field(gt=0, le=600, description="one measured window")
    warmup_s: float = Field(ge=0, le=600, description="load before each window, not counted")
    max_windows: int = Field(ge=1, le=100, description="most windows until three agree")
    agreement: float = Field(gt=0, lt=1, description="largest spread of windows that agree")
    timeout_s: float = Field(gt=0, le=600, description="longest wait for an answer")
    max_lag_ms: float = Field(gt=0, description="p99 of the client's lag that a valid row may have")
    check_share: float = Field(ge=0, le=1, description="share of answers compared with the truth")
    answer_tolerance: float = Field(gt=0, le=1, description="largest difference of a right answer")
    open_shares: tuple[Share, ...] = Field(
        description="open loop: rates as shares of the best closed-loop throughput"
    )
    arrivals: Literal["fixed", "poisson"] = Field(description="open loop: how requests come")
    slo_p99_ms: float = Field(ge=0, description="bound for the highest rate searched; 0: none")
    seed: int = Field(ge=0, description="of the arrivals and of resampled intervals")
    max_batch: int = Field(ge=1, le=256, description="largest dynamic batch")
    max_queue_delay_us: int = Field(ge=0, description="dynamic batching: microseconds to wait")
    demo: BenchmarkDemoSection = Field(description="what `make demo` measures instead")

    def for_demo(self) -> BenchmarkSection:
        """Return the section as `make demo` uses it: its few values put in."""
        return self.model_copy(update={**dict(self.demo), "open_shares": (), "slo_p99_ms": 0.0})
