"""Measure the served recognizer: PyTorch, ONNX Runtime, Triton without and with batching."""

from __future__ import annotations

from argparse import Namespace

from vigil.benchmark.report import write
from vigil.benchmark.run import run as measure
from vigil.benchmark.statistics import Row
from vigil.benchmark.systems import torch_function
from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select, tensors
from vigil.export import INPUTS
from vigil.models import store
from vigil.paths import Paths


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Write `benchmark.json`, `.csv` and `.png` into the reports, and print the verdict."""
    name = config.benchmark.model
    splits, annotations = read_annotations(paths.dataset / "annotations.pkl")
    keypoints, sizes, _labels = tensors(select(splits, annotations, "test"), config.dataset)
    rows = [
        {"keypoints": keypoints[i : i + 1], "image_size": sizes[i : i + 1]}
        for i in range(len(keypoints))
    ]
    recognizer, _spec = store.load(paths.model(name))
    report = measure(
        paths.triton_repo / name,
        rows,
        torch_function(recognizer.inference_graph(), INPUTS),
        config.benchmark,
        config.serve.startup_timeout_s,
        show,
    )
    written = write(paths.reports, report)
    print(f"\n{report.table()}\n\n{report.verdict()}")
    print("benchmark: " + ", ".join(str(path) for path in written))


def show(row: Row, left: int, error: str) -> None:
    """Print one measured row."""
    latency = "-" if row.p99_ms is None else f"{row.p50_ms:8.1f} {row.p99_ms:8.1f} ms"
    batch = "" if row.executed_batch_mean is None else f"  mean batch {row.executed_batch_mean:.1f}"
    failed = f"  {row.errors} errors: {error}" if row.errors else ""
    print(
        f"benchmark: {row.system:24s}{row.protocol:11s}c={row.concurrency:<4d}"
        f"{row.throughput_per_s:8.1f}/s  p50, p99 {latency}{batch}{failed}  ({left} to go)",
        flush=True,
    )


if __name__ == "__main__":
    run(main, __doc__)
