"""`vigil-bench trust`: which tools there are, and what each says beside our client."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack

from vigil.benchmark.inputs import from_files, random_rows
from vigil.benchmark.requests import http_request
from vigil.benchmark.served import Target
from vigil.benchmark.systems import triton
from vigil.benchmark.trust import Tool, agreement, ours, perf_analyzer, unpacked, wrk
from vigil.config import BenchmarkSection
from vigil.errors import InputError, VigilError
from vigil.session import TritonSession


def lines(parsed: Namespace, target: Target, params: BenchmarkSection) -> Iterator[str]:
    """Yield a line per tool and number of callers; over HTTP, with random inputs or the file's.

    Raises:
        InputError: neither tool is there.
        VigilError: a tool differs by more than 5 % in throughput or 10 % in p50 or p99.
    """
    url = target.urls["http"]
    session = TritonSession(url, target.model, "http", params.timeout_s)
    if target.input is not None:
        rows, _ = from_files(target.input, target.model, session.inputs, session.max_batch > 0)
    else:
        rows = random_rows(target.model, session.inputs, 1, params.seed, target.shapes)
    rows = rows[:1]
    with ExitStack() as stack:
        tools: dict[str, Tool] = {}
        if parsed.perf_analyzer is not None:
            program = stack.enter_context(unpacked(parsed.perf_analyzer))
            tools["perf_analyzer"] = perf_analyzer(program, url, target.model, "http")
        if shutil.which(parsed.wrk):
            request = http_request(url, target.model, session.outputs, rows[0])
            tools["wrk"] = wrk(parsed.wrk, url, request)
        if not tools:
            raise InputError("trust: expected wrk or --perf-analyzer, got neither")
        system = stack.enter_context(triton(target.model, "http", target.urls, target.model, rows))
        found = []
        for callers in parsed.concurrency or (1, 16):
            for name, tool in tools.items():
                seconds = max(3.0, params.window_s)
                mine = ours(system)
                found.append(agreement(name, mine, tool, callers, seconds, parsed.rounds))
                yield found[-1].line()
    if not all(one.agrees for one in found):
        raise VigilError(
            "trust: the clients differ by more than 5 % (throughput) or 10 % (p50, p99)"
        )
