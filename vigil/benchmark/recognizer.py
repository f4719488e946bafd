"""The benchmark of this project's recognizer, on its own test clips."""

from __future__ import annotations

from vigil.benchmark.measure import OnWindow
from vigil.benchmark.report import Report
from vigil.benchmark.row import Row
from vigil.benchmark.run import OnRow, run
from vigil.benchmark.systems import torch_function
from vigil.config import BenchmarkSection, Config
from vigil.dataset import read_annotations, select
from vigil.ensemble import load, named
from vigil.export import names
from vigil.paths import Paths


def benchmark_recognizer(
    config: Config,
    paths: Paths,
    params: BenchmarkSection,
    on_row: OnRow = lambda row: None,
    on_window: OnWindow = lambda *_: None,
) -> Report:
    """Measure the recognizer that the parameters name, served and in process.

    Args:
        config: all parameters.
        paths: of the project.
        params: `config.benchmark`, or a variant of it.
        on_row: called after each row with it.
        on_window: called before each window with system, load and the window's number.

    Raises:
        InputError: there is no test split.
        ModelError: the recognizer is not trained or not exported.
        ServerError: the server does not start.
    """
    name = params.model
    splits, annotations = read_annotations(paths.dataset / "annotations.pkl")
    graph, spec = load(named(name, config, paths), name)
    batch = spec.reads.batch(select(splits, annotations, "test"))
    rows = [
        {key: array[i : i + 1] for key, array in batch.feeds.items()}
        for i in range(len(batch.owner))
    ]
    timeout_s = config.serve.startup_timeout_s
    function = torch_function(graph, names(spec))
    return run(paths.triton_repo / name, rows, function, params, timeout_s, on_row, on_window)


def line(row: Row) -> str:
    """Return one measured row as one line for a person."""
    latency = "-" if row.p99_ms is None else f"{row.p50_ms:8.1f} {row.p99_ms:8.1f} ms"
    batch = "" if row.executed_batch_mean is None else f"  mean batch {row.executed_batch_mean:.1f}"
    failed = f"  {row.errors} errors: {row.failures[0]['first']}" if row.failures else ""
    due = "" if row.schedule_p99_ms is None else f"  from due p99 {row.schedule_p99_ms:.1f} ms"
    marks = "" if row.stable else "  not stable"
    marks += "" if row.valid else f"  INVALID: {row.why_invalid}"
    marks += f"  {row.wrong} WRONG" if row.wrong else ""
    return (
        f"benchmark: {row.system:24s}{row.protocol:11s}{row.title:16s}"
        f"{row.throughput_per_s:8.1f}/s  p50, p99 {latency}{due}{batch}{failed}{marks}"
    )
