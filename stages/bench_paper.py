"""Print the paper's throughput table beside ours, on this machine, at the network's full size."""

from __future__ import annotations

from argparse import Namespace

from vigil.benchmark import limit
from vigil.benchmark.live import watching
from vigil.benchmark.paper import benchmark_paper
from vigil.benchmark.report import write
from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths


def main(config: Config, paths: Paths, parsed: Namespace) -> None:
    """Write `bench_paper.json` and its kin into the reports, and print the table."""
    with watching() as (on_row, on_window):
        report = benchmark_paper(config, parsed.width, parsed.frames, on_row, on_window)
    found = report.environment
    print(f"\non {found['cpu']}, {found['cores']} cores, GPU: {found['gpu']}")
    print(f"ProtoGCN of width {parsed.width}, {parsed.frames} frames, 2 persons, random weights\n")
    print(f"{report.table()}\n\n{limit.table(limit.shares(report.rows))}\n\n{report.verdict()}")
    written = write(paths.reports, report, "bench_paper")
    print("bench_paper: " + ", ".join(str(path) for path in written[:4]))
    report.check()


if __name__ == "__main__":
    run(
        main, __doc__,
        ("--width", {"type": int, "default": 96, "help": "first width; published: 96"}),
        ("--frames", {"type": int, "default": 100, "help": "frames per clip; published: 100"}),
    )  # fmt: skip
