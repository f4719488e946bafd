"""Measure any served model, compare two reports, or hold the client beside another's.

vigil-bench run --model protogcn --url 127.0.0.1:8000 --concurrency 1 16 --rate 100
vigil-bench compare before/benchmark.json after/benchmark.json
vigil-bench trust --model protogcn --perf-analyzer tritonclient-2.51.0-….whl
"""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack

from vigil.benchmark import arguments, limit, trusting
from vigil.benchmark.compare import compare, machine_differs, read_report, summary
from vigil.benchmark.live import watching
from vigil.benchmark.report import write
from vigil.benchmark.served import benchmark_served, embedded
from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError, VigilError
from vigil.paths import Paths


def main(config: Config, paths: Paths, parsed: Namespace) -> None:
    """Do what the command line says."""
    if parsed.command == "compare":
        _compare(parsed)
        return
    params = arguments.parameters(parsed, config.benchmark)
    with ExitStack() as stack:
        if parsed.url or parsed.grpc_url:
            urls, onnx = arguments.addresses(parsed, params.protocols), None
        else:
            folder = parsed.repository or paths.triton_repo
            timeout_s = config.serve.startup_timeout_s
            found, onnx = stack.enter_context(embedded(folder, params.model, timeout_s))
            urls = dict(found)
        target = arguments.target(parsed, params.model, urls, onnx)
        if parsed.command == "trust":
            for line in trusting.lines(parsed, target, params):
                print(line, flush=True)
            return
        loads = arguments.loads(parsed, params)
        on_row, on_window = stack.enter_context(watching())
        report = benchmark_served(target, loads, params.protocols, params, on_row, on_window)
    parts = [limit.table(limit.shares(report.rows)), report.verdict()]
    print("\n" + ("\n\n".join(filter(None, parts)) or "benchmark: done"))
    written = write(parsed.out or paths.reports / "bench", report)
    print("benchmark: " + ", ".join(str(path) for path in written[:4]))
    report.check()


def _compare(parsed: Namespace) -> None:
    if len(parsed.files) != 2:
        raise InputError(f"compare: expected two reports, got {len(parsed.files)}")
    before, after = (read_report(path) for path in parsed.files)
    changes = compare(before, after, parsed.threshold)
    for text in machine_differs(before, after):
        print(f"compare: another machine: {text}")
    print("\n".join(change.line() for change in changes))
    if any(change.verdict == "slower" for change in changes):
        raise VigilError(f"compare: {summary(changes)}")
    print(f"compare: {summary(changes)}")


def cli() -> None:
    """Run `vigil-bench`."""
    run(main, __doc__, *arguments.ARGUMENTS)


if __name__ == "__main__":
    cli()
