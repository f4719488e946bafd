"""Measure the served recognizer: PyTorch, ONNX Runtime, Triton without and with batching."""

from __future__ import annotations

from argparse import Namespace

from vigil.benchmark.recognizer import benchmark_recognizer, line
from vigil.benchmark.report import write
from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Write `benchmark.json`, `.csv` and `.png` into the reports, and print the verdict."""
    report = benchmark_recognizer(config, paths, lambda *row: print(line(*row), flush=True))
    written = write(paths.reports, report)
    print(f"\n{report.table()}\n\n{report.verdict()}")
    print("benchmark: " + ", ".join(str(path) for path in written))


if __name__ == "__main__":
    run(main, __doc__)
