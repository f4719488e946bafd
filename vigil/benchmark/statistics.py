"""Numbers of a benchmark: latency percentiles, the server's own counters, the batch gain G(b)."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vigil.benchmark.load import Load
from vigil.session import Array, Session


@dataclass(frozen=True)
class Row:
    """One line of the benchmark; fields are named as in `reports/benchmark.json`.

    Latencies are the caller's, in milliseconds. `queue_ms`, `compute_infer_ms` (means per request)
    and `executed_batch_mean` are the server's and None for systems without one.
    """

    system: str
    protocol: str
    concurrency: int
    n: int
    throughput_per_s: float
    p50_ms: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    errors: int
    queue_ms: float | None
    compute_infer_ms: float | None
    executed_batch_mean: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values, rounded to what is meaningful."""
        return {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


@dataclass(frozen=True)
class ServerCounters:
    """Triton's cumulative statistics of one model.

    Attributes:
        inferences: rows answered.
        executions: batches run.
        requests: requests answered.
        queue_ns: their summed time in the queue, nanoseconds.
        compute_infer_ns: their summed time inside the backend, nanoseconds.
    """

    inferences: int
    executions: int
    requests: int
    queue_ns: int
    compute_infer_ns: int

    def since(self, earlier: ServerCounters) -> ServerCounters:
        """Return what was counted after `earlier`."""
        before, now = asdict(earlier), asdict(self)
        return ServerCounters(**{key: now[key] - before[key] for key in now})


def read_counters(http_url: str, model: str) -> ServerCounters:
    """Read a model's statistics from the server at `http_url` (`host:port`)."""
    with closing(http.client.HTTPConnection(http_url, timeout=10)) as connection:
        connection.request("GET", f"/v2/models/{model}/stats")
        found = json.load(connection.getresponse())["model_stats"]
    spent = [version["inference_stats"] for version in found]
    return ServerCounters(
        inferences=sum(int(version["inference_count"]) for version in found),
        executions=sum(int(version["execution_count"]) for version in found),
        requests=sum(int(stats["success"]["count"]) for stats in spent),
        queue_ns=sum(int(stats["queue"]["ns"]) for stats in spent),
        compute_infer_ns=sum(int(stats["compute_infer"]["ns"]) for stats in spent),
    )


def summarize(
    system: str, protocol: str, load: Load, counters: ServerCounters | None = None
) -> Row:
    """Turn a window into a row.

    Args:
        system: name of the system.
        protocol: `http`, `grpc` or `in_process`.
        load: the window.
        counters: what the server counted inside the window.
    """
    ms: list[float | None] = [None] * 5
    if len(load.latency_s):
        ms = [float(q) for q in np.percentile(load.latency_s * 1e3, [50, 90, 95, 99, 100])]
    queue = compute = batch = None
    if counters is not None and counters.requests and counters.executions:
        queue = counters.queue_ns / counters.requests / 1e6
        compute = counters.compute_infer_ns / counters.requests / 1e6
        batch = counters.inferences / counters.executions
    return Row(
        system=system,
        protocol=protocol,
        concurrency=load.concurrency,
        n=len(load.latency_s),
        throughput_per_s=load.throughput_per_s,
        p50_ms=ms[0],
        p90_ms=ms[1],
        p95_ms=ms[2],
        p99_ms=ms[3],
        max_ms=ms[4],
        errors=load.errors,
        queue_ms=queue,
        compute_infer_ms=compute,
        executed_batch_mean=batch,
    )


@dataclass(frozen=True)
class BatchGain:
    """Throughput of the device itself at one batch size, in process and without any server.

    Attributes:
        batch: rows per run.
        throughput_per_s: rows per second.
        gain: G(b), throughput over that at batch 1.
    """

    batch: int
    throughput_per_s: float
    gain: float


def batch_sizes(maximum: int) -> list[int]:
    """Return 1, 4, 16, 32, 64 … up to `maximum`, and `maximum` itself."""
    usual = [1, 4, 16, 32, 64, 128, 256]
    return sorted({size for size in usual if size < maximum} | {maximum})


def batch_gains(
    session: Session, row: Mapping[str, Array], sizes: Sequence[int], seconds: float
) -> list[BatchGain]:
    """Measure G(b).

    The sizes take turns, so that a disturbance of the machine meets them all alike, and the median
    run of each counts.

    Args:
        session: the network, in process.
        row: one input row, batch axis of size 1.
        sizes: batch sizes; 1 is measured in any case.
        seconds: time to spend on all sizes together; each runs at least three times.
    """
    ordered = sorted({1, *sizes})
    feeds = {b: {name: np.repeat(a, b, axis=0) for name, a in row.items()} for b in ordered}
    spent: dict[int, list[float]] = {b: [] for b in ordered}
    for b in ordered:
        session.run(feeds[b])
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(spent[1]) < 3:
        for b in ordered:
            start = time.perf_counter()
            session.run(feeds[b])
            spent[b].append(time.perf_counter() - start)
    rate = {b: b / float(np.median(spent[b])) for b in ordered}
    return [BatchGain(b, rate[b], rate[b] / rate[1]) for b in ordered]
