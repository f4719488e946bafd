"""The whole benchmark of one network: systems by turns, callers, the clock, and the bound."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vigil.benchmark.claims import best
from vigil.benchmark.gain import batch_gains, batch_sizes
from vigil.benchmark.measure import MOST_LANES, OnWindow, measure_point, measure_window
from vigil.benchmark.report import Report
from vigil.benchmark.requests import Feeds
from vigil.benchmark.row import Row
from vigil.benchmark.schedule import Closed, Load, at_rate
from vigil.benchmark.search import Goodput, Probe, judge, search
from vigil.benchmark.systems import System, Urls, golden_answers, in_process, settle_threads, triton
from vigil.benchmark.usage import driver
from vigil.config import BenchmarkSection
from vigil.environment import describe
from vigil.errors import InputError, VigilError
from vigil.items import file_hash
from vigil.serving.repository import (
    check_model,
    stage_variant,
    versions,
    with_dynamic_batching,
    without_batching,
)
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession

Function = Callable[[Feeds], Any]
OnRow = Callable[[Row], None]


@dataclass
class Found:
    """What a run has found so far; it is kept whatever ends the run.

    Attributes:
        rows: measured.
        goodput: searched.
        failure: what ended the run early.
    """

    rows: list[Row] = field(default_factory=list)
    goodput: list[Goodput] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def partial(self) -> str:
        """Why the run ended early, "" when it did not."""
        if isinstance(self.failure, KeyboardInterrupt):
            return "interrupted"
        return str(self.failure or "")


@contextmanager
def keeping(found: Found) -> Iterator[None]:
    """Note what ends a run instead of losing what was measured; nothing measured is nothing kept.

    Raises:
        VigilError, KeyboardInterrupt: when there is no row yet.
    """
    try:
        yield
    except (VigilError, KeyboardInterrupt) as error:
        if not found.rows:
            raise
        found.failure = error


def run(
    model: Path,
    rows: Sequence[Feeds],
    pytorch: Function | None,
    params: BenchmarkSection,
    startup_timeout_s: float,
    on_row: OnRow = lambda row: None,
    on_window: OnWindow = lambda *_: None,
) -> Report:
    """Measure every system at every load.

    The two Triton systems are variants of the model's own configuration that differ in dynamic
    batching alone; both are loaded in one embedded server. Systems take turns, window by window, so
    that a disturbance of the machine meets those that are compared alike.

    Args:
        model: the model's folder in the repository; the newest version is measured.
        rows: inputs to go round, each a batch of one.
        pytorch: the recognizer in PyTorch, called one at a time; None leaves that system out.
        params: see `BenchmarkSection`.
        startup_timeout_s: longest wait for the server, in seconds.
        on_row: called after each row with it.
        on_window: called before each window with system, load and the window's number.

    Returns:
        The report; marked partial where an error or Ctrl-C ended it after the first row.

    Raises:
        InputError: `rows` is empty.
        ModelError: the configuration contradicts the ONNX file.
        ServerError: the server did not start.
    """
    if not rows:
        raise InputError("benchmark: expected at least one clip to ask about, got none")
    config = check_model(model)
    path = versions(model)[-1] / (config.default_model_filename or "model.onnx")
    session = OnnxSession(path)
    gains = batch_gains(session, rows[0], batch_sizes(params.max_batch), params.window_s)
    threads = settle_threads(pytorch, rows[0], params.window_s) if pytorch else None
    functions = {"onnxruntime": session.run, "pytorch": pytorch}
    found = Found()

    def keep(row: Row) -> None:
        found.rows.append(row)
        on_row(row)

    with tempfile.TemporaryDirectory(prefix="vigil-benchmark-") as folder:
        repository = Path(folder)
        _stage(model, repository, params)
        with EmbeddedTriton(repository, startup_timeout_s=startup_timeout_s) as server:
            urls: Urls = {"http": server.http_url, "grpc": server.grpc_url}
            golden = golden_answers(session, rows)
            with keeping(found):
                _sweep(functions, urls, rows, golden, params, keep, on_window)
                _by_clock(urls, rows, golden, params, found, keep, on_window)
            providers = {"onnxruntime": session.provider, **server.providers}
    environment = environment_of(params, [path, model / "config.pbtxt"], providers)
    environment["pytorch_threads"] = threads
    return Report(
        model.name, environment, found.rows, gains, params.max_batch, found.goodput,
        found.partial, found.failure,
    )  # fmt: skip


def environment_of(
    params: BenchmarkSection, files: Sequence[Path], providers: Mapping[str, str]
) -> dict[str, Any]:
    """Return what figures were computed on: machine, versions, files' hashes and flags.

    Args:
        params: of the run.
        files: of the model.
        providers: who computes, by system.
    """
    return describe() | {
        "gpu_driver": driver(),
        "load_average": round(os.getloadavg()[0], 2),
        "providers": dict(providers),
        "sha256": {f"{path.parent.name}/{path.name}": file_hash(path) for path in files},
        "flags": params.model_dump(mode="json", exclude={"demo"}),
    }


def served(name: str) -> bool:
    """Tell whether a system of the parameters is a server."""
    return name.startswith("triton")


def _stage(model: Path, repository: Path, params: BenchmarkSection) -> None:
    changes = {
        "triton_no_batching": without_batching,
        "triton_dynamic_batching": with_dynamic_batching(
            params.max_batch, params.max_queue_delay_us
        ),
    }
    for name, change in changes.items():
        stage_variant(model, repository, name, change)


def _sweep(
    functions: Mapping[str, Function | None],
    urls: Urls,
    rows: Sequence[Feeds],
    golden: Sequence[Feeds],
    params: BenchmarkSection,
    on_row: OnRow,
    on_window: OnWindow,
) -> None:
    """Measure all systems in a closed loop, at each number of callers."""
    for concurrency in params.concurrencies:
        with ExitStack() as stack:
            points: list[tuple[System, Load]] = []
            for name in params.systems:
                if served(name):
                    opened = _served(name, urls, rows, golden, params, concurrency)
                else:
                    opened = _in_process(name, functions, rows, golden, params, concurrency)
                for one in opened:
                    system = stack.enter_context(one)
                    points.append((system, Closed(-(-concurrency // system.batch))))
            measure_point(points, params, on_row, on_window)


def _in_process(
    name: str,
    functions: Mapping[str, Function | None],
    rows: Sequence[Feeds],
    golden: Sequence[Feeds],
    params: BenchmarkSection,
    concurrency: int,
) -> list[AbstractContextManager[System]]:
    """Return the system, with as many rows in flight as there would be callers."""
    kind = name.removesuffix("_batched")
    function = functions[kind]
    if function is None:
        return []
    batch = min(concurrency, params.max_batch) if kind != name else 1
    at_once = 1 if kind == "pytorch" else len(os.sched_getaffinity(0))
    right = golden if kind == "onnxruntime" else ()
    return [in_process(name, function, rows, at_once, batch, right, params.answer_tolerance)]


def _served(
    name: str, urls: Urls, rows: Sequence[Feeds], golden: Sequence[Feeds],
    params: BenchmarkSection, lanes: int,
) -> list[AbstractContextManager[System]]:  # fmt: skip
    return [
        triton(
            name, protocol, urls, name, rows, golden=golden, tolerance=params.answer_tolerance,
            timeout_s=params.timeout_s, lanes=lanes,
        )
        for protocol in params.protocols
    ]  # fmt: skip


def _by_clock(
    urls: Urls,
    rows: Sequence[Feeds],
    golden: Sequence[Feeds],
    params: BenchmarkSection,
    found: Found,
    on_row: OnRow,
    on_window: OnWindow,
) -> None:
    """Measure the served systems by the clock: at shares of their best, and under the bound."""
    names = [name for name in params.systems if served(name)]
    top = best(found.rows, names)
    if top is None or not (params.open_shares or params.slo_p99_ms):
        return
    one_protocol = params.model_copy(update={"protocols": params.protocols[:1]})
    with ExitStack() as stack:
        systems = [
            stack.enter_context(one)
            for name in names
            for one in _served(name, urls, rows, golden, one_protocol, MOST_LANES)
        ]
        for share in params.open_shares:
            load = at_rate(round(share * top.throughput_per_s, 1), params.arrivals, params.seed)
            measure_point([(system, load) for system in systems], params, on_row, on_window)
        for system in systems if params.slo_p99_ms else []:
            guess = 0.7 * top.throughput_per_s
            found.goodput.append(goodput(system, guess, params, on_window))


def goodput(
    system: System, guess_per_s: float, params: BenchmarkSection, on_window: OnWindow
) -> Goodput:
    """Search the highest rate at which a system keeps p99 under the bound.

    Args:
        system: what to ask.
        guess_per_s: rate to begin with.
        params: `slo_p99_ms`, `arrivals` and the window.
        on_window: called before each try.
    """

    def probe(rate: float, turn: int) -> Probe:
        load: Load = at_rate(rate, params.arrivals, params.seed)
        on_window(system, load, turn + 1)
        window = measure_window(system, load, params, turn).window
        return judge(window, rate, params.slo_p99_ms, system.batch)

    rate, good, probes = search(probe, guess_per_s)
    return Goodput(system.name, system.protocol, params.slo_p99_ms, rate, good, probes)
