"""What may be said of a served gain: no server can give more than the device's own G(b)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vigil.benchmark.row import Row

# Inferences per second in the paper's table 3, on a GPU that it does not name.
PAPER = {"pytorch": 31.289, "triton_no_batching": 36.886, "triton_dynamic_batching": 247.136}
PAPER_GAIN = PAPER["triton_dynamic_batching"] / PAPER["triton_no_batching"]
TITLES = {
    "pytorch": "PyTorch, one by one",
    "pytorch_batched": "PyTorch, batched",
    "onnxruntime": "ONNX Runtime, in process",
    "onnxruntime_batched": "ONNX Runtime, batched",
    "triton_no_batching": "Triton, no batching",
    "triton_dynamic_batching": "Triton, dynamic batching",
}
IN_PROCESS = ("onnxruntime", "onnxruntime_batched")
_SERVED = ("triton_no_batching", "triton_dynamic_batching")


@dataclass(frozen=True)
class Claim:
    """Dynamic batching over none, at one load.

    Attributes:
        protocol: how the server was asked.
        load: as a row's title.
        concurrency: callers.
        served: throughput of dynamic batching over that of none.
        device: G(b) up to the largest batch that the server may make.
    """

    protocol: str
    load: str
    concurrency: int
    served: float
    device: float

    @property
    def share(self) -> float:
        """Served gain over the device's own."""
        return self.served / self.device

    @property
    def possible(self) -> bool:
        """Whether batching alone can have given it."""
        return self.served <= self.device


def claims(rows: Sequence[Row], device: float) -> list[Claim]:
    """Return a claim for every protocol and number of callers that both Triton systems answered."""
    rates = {
        (row.system, row.protocol, row.concurrency): row.throughput_per_s
        for row in rows
        if row.load == "closed" and row.throughput_per_s > 0
    }
    found = []
    for (system, protocol, concurrency), rate in rates.items():
        other = rates.get(("triton_dynamic_batching", protocol, concurrency))
        if system == "triton_no_batching" and other is not None:
            found.append(Claim(protocol, f"c={concurrency}", concurrency, other / rate, device))
    return sorted(found, key=lambda claim: (claim.concurrency, claim.protocol))


def best(rows: Sequence[Row], systems: Sequence[str]) -> Row | None:
    """Return the closed-loop row of the highest throughput among systems; None without any."""
    mine = [row for row in rows if row.system in systems and row.load == "closed" and row.n]
    return max(mine, key=lambda row: row.throughput_per_s, default=None)


@dataclass(frozen=True)
class Goal:
    """A figure that is aimed at.

    Attributes:
        name: what of what.
        value: measured.
        wanted: at least.
    """

    name: str
    value: float
    wanted: float

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.wanted

    def line(self) -> str:
        """Return it for people."""
        word = "met" if self.met else "MISSED"
        return f"{self.name}: {self.value:.3f} (goal: at least {self.wanted:g}): {word}"


def goals(rows: Sequence[Row], on_gpu: bool) -> list[Goal]:
    """Return what is aimed at on this kind of device, as far as it was measured.

    On a GPU: dynamic batching at least 10 times PyTorch one by one. On a CPU: the best served at
    least 2 times PyTorch one by one, and 0.95 of ONNX Runtime at its best in process.
    """
    found = []
    one_by_one, limit = best(rows, ("pytorch",)), best(rows, IN_PROCESS)
    served = best(rows, ("triton_dynamic_batching",) if on_gpu else _SERVED)
    if served and one_by_one:
        name = "dynamic batching" if on_gpu else "best served"
        gain = served.throughput_per_s / one_by_one.throughput_per_s
        found.append(Goal(f"{name} over PyTorch one by one", gain, 10.0 if on_gpu else 2.0))
    if served and limit and not on_gpu:
        share = served.throughput_per_s / limit.throughput_per_s
        found.append(Goal("best served over ONNX Runtime in process", share, 0.95))
    return found
