"""The benchmark of any model of a running server, or of a repository served for the occasion."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vigil.benchmark.gain import batch_gains, batch_sizes
from vigil.benchmark.inputs import from_files, random_rows
from vigil.benchmark.measure import MOST_LANES, OnWindow, measure_point
from vigil.benchmark.report import Report
from vigil.benchmark.requests import Feeds
from vigil.benchmark.row import Row
from vigil.benchmark.run import Found, OnRow, environment_of, goodput, keeping
from vigil.benchmark.schedule import Closed, Load
from vigil.benchmark.systems import System, Urls, golden_answers, in_process, triton
from vigil.config import BenchmarkProtocol, BenchmarkSection
from vigil.errors import InputError
from vigil.serving.repository import check_model, versions
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession

_RANDOM_ROWS = 32


@dataclass(frozen=True)
class Target:
    """What to ask, and what.

    Attributes:
        model: name of the served model.
        urls: `host:port` by protocol, of a server that runs already.
        input: `.npz` file or folder of them; None makes random inputs.
        batch: rows of a request.
        shapes: whole shapes for random inputs with further open axes.
        onnx: the model's file, where it is at hand: gives right answers and G(b).
        beside: whether that file is measured in this process too.
    """

    model: str
    urls: Mapping[TransportName, str]
    input: Path | None = None
    batch: int = 1
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    onnx: Path | None = None
    beside: bool = False


@contextmanager
def embedded(repository: Path, model: str, timeout_s: float) -> Iterator[tuple[Urls, Path | None]]:
    """Serve one model of a repository; yield the server's addresses and the model's ONNX file.

    Raises:
        ModelError: no such model, or its configuration contradicts its file.
        ServerError: the server did not start.
    """
    with EmbeddedTriton(repository, [model], startup_timeout_s=timeout_s) as server:
        folder = repository / model
        onnx = None
        if list(folder.glob("*/model.onnx")):
            config = check_model(folder)
            onnx = versions(folder)[-1] / (config.default_model_filename or "model.onnx")
        yield {"http": server.http_url, "grpc": server.grpc_url}, onnx


def benchmark_served(
    target: Target,
    loads: Sequence[Load],
    protocols: Sequence[BenchmarkProtocol],
    params: BenchmarkSection,
    on_row: OnRow = lambda row: None,
    on_window: OnWindow = lambda *_: None,
) -> Report:
    """Measure a model at every load over every protocol, protocols by turns.

    Right answers are those of the input file; else of the ONNX file in process; else what the
    server itself says of each input asked alone.

    Args:
        target: what to ask.
        loads: callers, rates or a trace.
        protocols: how.
        params: windows, limits, and the bound of the search (`slo_p99_ms`, 0 for none).
        on_row: called after each row with it.
        on_window: called before each window.

    Returns:
        The report; marked partial where an error or Ctrl-C ended it after the first row.

    Raises:
        InputError: inputs that the model does not take.
        ServerUnavailable, ModelNotFound, DeadlineExceeded: by cause.
    """
    session = _session(target, protocols[0], params.timeout_s)
    rows, golden = _questions(target, session)
    found = Found()

    def keep(row: Row) -> None:
        found.rows.append(row)
        on_row(row)

    most = max([MOST_LANES, *(load.concurrency for load in loads if isinstance(load, Closed))])
    with keeping(found), _systems(target, protocols, rows, golden, params, most) as systems:
        for load in loads:
            points = [(system, load) for system in systems]
            measure_point(points, params, keep, on_window)
        for system in [one for one in systems if one.served and params.slo_p99_ms]:
            guess = max((row.throughput_per_s for row in found.rows), default=50.0)
            found.goodput.append(goodput(system, guess / target.batch, params, on_window))
    files = [target.onnx] if target.onnx else []
    environment = environment_of(params, files, {target.model: session.provider})
    environment["server"] = ", ".join(f"{key} {url}" for key, url in target.urls.items())
    environment["inputs"] = f"{len(rows)} from {target.input or 'a random generator'}"
    gains = []
    if target.onnx and not found.partial:
        sizes = batch_sizes(session.max_batch or 1)
        gains = batch_gains(OnnxSession(target.onnx), rows[0], sizes, params.window_s)
    return Report(
        target.model, environment, found.rows, gains, max(session.max_batch, 1), found.goodput,
        found.partial, found.failure,
    )  # fmt: skip


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Read `name:1,8,480,640` as a whole shape by input.

    Raises:
        InputError: another form.
    """
    shapes = {}
    for text in texts:
        name, _, sizes = text.rpartition(":")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            name = ""
        if not name or min(shapes[name]) < 1:
            raise InputError(f"benchmark: --shape: expected NAME:SIZE,SIZE, got {text!r}")
    return shapes


def _session(target: Target, protocol: str, timeout_s: float) -> TritonSession:
    transport: TransportName = "http" if protocol.startswith("http") else "grpc"
    return TritonSession(target.urls[transport], target.model, transport, timeout_s)


def _questions(target: Target, session: TritonSession) -> tuple[list[Feeds], list[Feeds]]:
    """Return inputs and their right answers."""
    batched = session.max_batch > 0
    if target.input is not None:
        rows, golden = from_files(target.input, target.model, session.inputs, batched)
        if golden:
            return rows, golden
    else:
        rows = random_rows(target.model, session.inputs, _RANDOM_ROWS, 0, target.shapes)
    judge: Any = OnnxSession(target.onnx) if target.onnx else session
    return rows, golden_answers(judge, rows)


def _beside(
    target: Target, rows: Sequence[Feeds], golden: Sequence[Feeds], params: BenchmarkSection
) -> list[AbstractContextManager[System]]:
    """Return ONNX Runtime in process: with as many rows a call as a request has, and with one."""
    if target.onnx is None:
        raise InputError("benchmark: --beside: expected the ONNX file of the model, got a URL")
    session, cores = OnnxSession(target.onnx), len(os.sched_getaffinity(0))
    return [
        in_process(
            "onnxruntime", session.run, rows, cores, batch, golden, params.answer_tolerance
        )
        for batch in sorted({1, target.batch})
    ]  # fmt: skip


@contextmanager
def _systems(
    target: Target,
    protocols: Sequence[BenchmarkProtocol],
    rows: Sequence[Feeds],
    golden: Sequence[Feeds],
    params: BenchmarkSection,
    lanes: int,
) -> Iterator[list[System]]:
    with ExitStack() as stack:
        beside = _beside(target, rows, golden, params) if target.beside else []
        yield [stack.enter_context(one) for one in beside] + [
            stack.enter_context(
                triton(
                    target.model, protocol, target.urls, target.model, rows, batch=target.batch,
                    golden=golden, tolerance=params.answer_tolerance,
                    timeout_s=params.timeout_s, lanes=lanes,
                )
            )
            for protocol in protocols
        ]  # fmt: skip
