"""Measure the served recognizer beside PyTorch and ONNX Runtime in process."""

from __future__ import annotations

from argparse import Namespace

from vigil.benchmark import limit
from vigil.benchmark.live import watching
from vigil.benchmark.recognizer import benchmark_recognizer
from vigil.benchmark.report import write
from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Write `benchmark.json`, `.csv`, `.png` and `.html` into the reports; print the verdict."""
    with watching() as (on_row, on_window):
        report = benchmark_recognizer(config, paths, config.benchmark, on_row, on_window)
    print(f"\n{report.table()}\n\n{limit.table(limit.shares(report.rows))}\n\n{report.verdict()}")
    written = write(paths.reports, report)
    print("benchmark: " + ", ".join(str(path) for path in written[:4]))
    report.check()


if __name__ == "__main__":
    run(main, __doc__)
