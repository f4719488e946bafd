"""The benchmark of this project's recognizer, on its own test clips."""

from __future__ import annotations

from collections.abc import Callable

from vigil.benchmark.report import Report
from vigil.benchmark.run import run
from vigil.benchmark.statistics import Row
from vigil.benchmark.systems import torch_function
from vigil.config import Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import load, named
from vigil.export import names
from vigil.paths import Paths


def benchmark_recognizer(
    config: Config, paths: Paths, on_row: Callable[[Row, int, str], None]
) -> Report:
    """Measure the recognizer that the parameters name, served and in process.

    Args:
        config: all parameters; `benchmark` names model, concurrencies and seconds.
        paths: of the project.
        on_row: called after each row with it, the number of rows to come, and the message of the
            row's first failed request or "".

    Raises:
        InputError: there is no test split.
        ModelError: the recognizer is not trained or not exported.
        ServerError: the server does not start or answers otherwise than in process.
    """
    name = config.benchmark.model
    splits, annotations = read_annotations(paths.dataset / "annotations.pkl")
    graph, spec = load(named(name, config, paths), name)
    batch = spec.reads.batch(select(splits, annotations, "test"))
    rows = [
        {key: array[i : i + 1] for key, array in batch.feeds.items()}
        for i in range(len(batch.owner))
    ]
    return run(
        paths.triton_repo / name,
        rows,
        torch_function(graph, names(spec)),
        config.benchmark,
        config.serve.startup_timeout_s,
        on_row,
    )


def line(row: Row, left: int, error: str) -> str:
    """Return one measured row as one line for a person."""
    latency = "-" if row.p99_ms is None else f"{row.p50_ms:8.1f} {row.p99_ms:8.1f} ms"
    batch = "" if row.executed_batch_mean is None else f"  mean batch {row.executed_batch_mean:.1f}"
    failed = f"  {row.errors} errors: {error}" if row.errors else ""
    return (
        f"benchmark: {row.system:24s}{row.protocol:11s}c={row.concurrency:<4d}"
        f"{row.throughput_per_s:8.1f}/s  p50, p99 {latency}{batch}{failed}  ({left} to go)"
    )
