"""What Triton counts of a model: requests, batches, and where the time went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote

from vigil.serving.control import Control

_TIMEOUT_S = 10.0
_PHASES = ("queue", "compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class ServerCounters:
    """Triton's cumulative statistics of one model.

    Attributes:
        inferences: rows answered.
        executions: batches run.
        requests: requests answered.
        failed: requests refused or failed.
        ns: summed nanoseconds of the requests in `queue`, `compute_input`, `compute_infer` and
            `compute_output`.
        batches: executions by batch size.
    """

    inferences: int = 0
    executions: int = 0
    requests: int = 0
    failed: int = 0
    ns: Counter[str] = field(default_factory=Counter)
    batches: Counter[int] = field(default_factory=Counter)

    def since(self, earlier: ServerCounters) -> ServerCounters:
        """Return what was counted after `earlier`."""
        return ServerCounters(
            self.inferences - earlier.inferences,
            self.executions - earlier.executions,
            self.requests - earlier.requests,
            self.failed - earlier.failed,
            self.ns - earlier.ns,
            self.batches - earlier.batches,
        )

    def plus(self, other: ServerCounters) -> ServerCounters:
        """Return both together."""
        return ServerCounters(
            self.inferences + other.inferences,
            self.executions + other.executions,
            self.requests + other.requests,
            self.failed + other.failed,
            self.ns + other.ns,
            self.batches + other.batches,
        )

    def mean_ms(self, phase: str) -> float | None:
        """Return the mean milliseconds of a request in a phase; None without requests."""
        return self.ns[phase] / self.requests / 1e6 if self.requests else None

    @property
    def mean_batch(self) -> float | None:
        """Mean rows of an execution."""
        return self.inferences / self.executions if self.executions else None


def read_counters(http_url: str, model: str) -> ServerCounters:
    """Read a model's statistics from the server at `http_url` (`host:port`).

    Raises:
        ServerError: nobody answers there, or the server has no such statistics.
    """
    path = f"/v2/models/{quote(model, safe='')}/stats"
    found = Control(http_url, _TIMEOUT_S).ask("GET", path)
    total = ServerCounters()
    for version in found["model_stats"]:
        spent = version["inference_stats"]
        total = total.plus(
            ServerCounters(
                int(version["inference_count"]),
                int(version["execution_count"]),
                int(spent["success"]["count"]),
                int(spent["fail"]["count"]),
                Counter({name: int(spent[name]["ns"]) for name in _PHASES}),
                Counter(
                    {
                        int(batch["batch_size"]): int(batch["compute_infer"]["count"])
                        for batch in version.get("batch_stats", [])
                    }
                ),
            )
        )
    return total
