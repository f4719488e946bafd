"""The ways to run a network that the benchmark compares."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vigil.benchmark.counters import ServerCounters, read_counters
from vigil.benchmark.generator import Lane, OpenLane
from vigil.benchmark.grpc_lane import open_grpc
from vigil.benchmark.http_lane import open_http
from vigil.benchmark.inputs import joined
from vigil.benchmark.requests import Feeds, grpc_request, http_request, read_grpc, read_http
from vigil.benchmark.shared_memory import Region, region
from vigil.benchmark.usage import server_processes
from vigil.config import BenchmarkProtocol
from vigil.session import Array, Session, TransportName, TritonSession

Urls = Mapping[TransportName, str]


@dataclass(frozen=True)
class System:
    """One way to run the network.

    Attributes:
        name: as in the report.
        protocol: `in_process`, or how the server is spoken to.
        batch: rows of a request.
        open_lane: opens a caller's connection; see `vigil.benchmark.generator`.
        wrong: says what is wrong with the answer to an input, "" for nothing.
        counters: reads the server's statistics, where there is a server.
        processes: psutil's of the server, [] for none of this machine.
    """

    name: str
    protocol: str
    batch: int
    open_lane: OpenLane
    wrong: Callable[[int, Any], str] = field(default=lambda turn, answer: "")
    counters: Callable[[], ServerCounters] | None = None
    processes: Sequence[Any] = ()

    @property
    def served(self) -> bool:
        """Tell whether a server answers."""
        return self.protocol != "in_process"


class _InProcess:
    """A caller of a function; calls run in the order in which they came."""

    def __init__(
        self, pool: ThreadPoolExecutor, function: Callable[[Feeds], Any], rows: Sequence[Feeds]
    ) -> None:
        self.pool, self.function, self.rows = pool, function, rows

    async def ask(self, turn: int) -> Any:
        """Run the function on an input."""
        feeds = self.rows[turn % len(self.rows)]
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.function, feeds)

    def close(self) -> None:
        """There is nothing to hang up."""


@contextmanager
def in_process(
    name: str,
    function: Callable[[Feeds], Any],
    rows: Sequence[Feeds],
    at_once: int,
    batch: int = 1,
    golden: Sequence[Feeds] = (),
    tolerance: float = 1e-4,
) -> Iterator[System]:
    """Yield a system that runs a function in this process.

    Args:
        name: as in the report.
        function: takes one batch of named arrays; may be called from several threads.
        rows: inputs, used in turn, batch axis of size 1.
        at_once: most calls that run together; further callers wait their turn.
        batch: rows of a call.
        golden: right answers of the rows, for functions that return arrays by name.
        tolerance: largest difference of a right answer.
    """
    import psutil

    asked, right = joined(rows, batch), joined(golden, batch)

    with ThreadPoolExecutor(at_once, thread_name_prefix="vigil-bench") as pool:

        async def open_lane(_: int) -> Lane:
            return _InProcess(pool, function, asked)

        check = _checker(right, lambda answer: answer, tolerance)
        yield System(name, "in_process", batch, open_lane, check, None, [psutil.Process()])


@contextmanager
def triton(
    name: str,
    protocol: BenchmarkProtocol,
    urls: Urls,
    model: str,
    rows: Sequence[Feeds],
    *,
    batch: int = 1,
    golden: Sequence[Feeds] = (),
    tolerance: float = 1e-4,
    timeout_s: float = 120.0,
    lanes: int = 256,
) -> Iterator[System]:
    """Yield a system that asks a Triton server.

    Args:
        name: as in the report.
        protocol: `http` or `grpc`, with `_shm` for tensors in shared memory.
        urls: `host:port` of both endpoints; statistics are always read over HTTP.
        model: name of the served model.
        rows: inputs, used in turn, batch axis of size 1.
        batch: rows of a request.
        golden: right answers of the rows.
        tolerance: largest difference of a right answer.
        timeout_s: longest wait for an answer, in seconds.
        lanes: most callers, for whose answers there is room in shared memory.

    Raises:
        ServerUnavailable, ModelNotFound, DeadlineExceeded: by cause.
        InputError: the inputs do not go through shared memory.
    """
    transport: TransportName = "http" if protocol.startswith("http") else "grpc"
    session = TritonSession(urls[transport], model, transport, timeout_s)
    asked, right = joined(rows, batch), joined(golden, batch)
    read = read_http if transport == "http" else read_grpc
    processes = server_processes(urls["http"])

    def system(open_lane: OpenLane, decode: Callable[[Any], dict[str, Array]]) -> System:
        check = _checker(right, decode, tolerance)

        def count() -> ServerCounters:
            return read_counters(urls["http"], model)

        return System(name, protocol, batch, open_lane, check, count, processes)

    def encode(feeds: Feeds, **places: Any) -> bytes:
        if transport == "http":
            return http_request(urls["http"], model, session.outputs, feeds, **places)
        return grpc_request(model, session.outputs, feeds, **places)

    connect = open_http if transport == "http" else open_grpc
    if not protocol.endswith("_shm"):
        requests = [encode(feeds) for feeds in asked]
        yield system(lambda _: connect(urls[transport], requests, timeout_s), read)
        return
    with region(urls["http"], asked, session.outputs, batch, lanes) as shared:

        async def open_lane(index: int) -> Lane:
            place = index % lanes
            own = [
                encode(feeds, places={**where, **shared.outputs[place]})
                for feeds, where in zip(asked, shared.inputs, strict=True)
            ]
            return _Shared(await connect(urls[transport], own, timeout_s), shared, place)

        yield system(open_lane, lambda answer: read(answer[0], answer[1]) | shared.read(answer[1]))


class _Shared:
    """A caller whose tensors lie in shared memory."""

    def __init__(self, lane: Lane, shared: Region, index: int) -> None:
        self.lane, self.shared, self.index = lane, shared, index

    async def ask(self, turn: int) -> tuple[bytes, dict[str, bytes]]:
        """Ask; return the message and a copy of what lies in the caller's place."""
        answer = await self.lane.ask(turn)
        return answer, self.shared.copy(self.index)

    def close(self) -> None:
        """Hang up."""
        self.lane.close()


def torch_function(graph: Any, inputs: Sequence[str]) -> Callable[[Feeds], Any]:
    """Return a function that runs a torch module on named arrays, on CUDA where it is usable.

    Args:
        graph: a torch module in evaluation mode.
        inputs: names of its positional inputs, in order.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    graph = graph.to(device)

    def function(feeds: Feeds) -> Any:
        with torch.inference_mode():
            answers = graph(*(torch.from_numpy(feeds[name]).to(device) for name in inputs))
            return [answer.cpu() for answer in answers]

    return function


def settle_threads(function: Callable[[Feeds], Any], row: Feeds, seconds: float) -> int:
    """Give torch as many threads a call as make it quickest: one, or one per core.

    A small network is slower with more threads than with one, a large one faster; what PyTorch is
    compared by should be its best.

    Args:
        function: of `torch_function`.
        row: an input.
        seconds: spent on each number of threads.

    Returns:
        The number of threads, which is set.
    """
    import torch

    took: dict[int, list[float]] = {1: [], len(os.sched_getaffinity(0)): []}
    for threads in took:
        torch.set_num_threads(threads)
        function(row)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds * len(took):
        for threads, times in took.items():
            torch.set_num_threads(threads)
            start = time.perf_counter()
            function(row)
            times.append(time.perf_counter() - start)
    best = min(took, key=lambda threads: statistics.median(took[threads] or [float("inf")]))
    torch.set_num_threads(best)
    return best


def golden_answers(session: Session, rows: Sequence[Feeds]) -> list[Feeds]:
    """Return what a session says of each input by itself, as what is right."""
    return [session.run(row) for row in rows]


def difference(got: Mapping[str, Array], right: Feeds, tolerance: float) -> str:
    """Say how an answer differs from what is right; "" where it does not.

    Numbers may differ by `tolerance`, and not at all where one is not finite; text must be equal.
    """
    for name, want in right.items():
        have = got.get(name)
        if have is None or have.shape != want.shape:
            shape = "none" if have is None else str(have.shape)
            return f"{name}: expected shape {want.shape}, got {shape}"
        if want.dtype == object:
            if not np.array_equal(have, want):
                return f"{name}: expected other text"
        elif not np.allclose(have, want, rtol=tolerance, atol=tolerance, equal_nan=True):
            worst = float(np.abs(have.astype(np.float64) - want.astype(np.float64)).max())
            return f"{name}: expected within {tolerance:g}, got a difference of {worst:g}"
    return ""


def _checker(
    golden: Sequence[Feeds], decode: Callable[[Any], Mapping[str, Array]], tolerance: float
) -> Callable[[int, Any], str]:
    def wrong(turn: int, answer: Any) -> str:
        if not golden:
            return ""
        try:
            return difference(decode(answer), golden[turn % len(golden)], tolerance)
        except Exception as error:  # an answer that cannot be read is a wrong answer
            return f"unreadable: {type(error).__name__}: {error}"

    return wrong
