"""The ways to run a recognizer that the benchmark compares.

Requests to Triton are serialized once, before the clock runs, and sent over plain connections:
the callers share this machine's cores with the server, and what they spend is not the server's.
"""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

import numpy as np

from vigil.benchmark.load import Call, CallFactory, closed_loop
from vigil.benchmark.statistics import Row, ServerCounters, read_counters, summarize
from vigil.errors import ServerError
from vigil.session import Array, Session, TensorSpec, TransportName, TritonSession

Feeds = Mapping[str, Array]
SystemName = Literal["pytorch", "onnxruntime", "triton_no_batching", "triton_dynamic_batching"]
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class System:
    """One way to run the recognizer.

    Attributes:
        name: as in the report.
        protocol: `http`, `grpc` or `in_process`.
        make_call: makes a caller; see `closed_loop`.
        counters: reads the server's statistics, where there is a server.
    """

    name: SystemName
    protocol: Literal["http", "grpc", "in_process"]
    make_call: CallFactory
    counters: Callable[[], ServerCounters] | None = None


class Turnstile:
    """Lets some callers through together and the others in the order in which they came.

    A `threading.Semaphore` is not fair: the caller that leaves may be the next to enter, again and
    again, while others starve.
    """

    def __init__(self, at_once: int) -> None:
        """Open it for `at_once` callers."""
        self._lock = threading.Lock()
        self._free = at_once
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for one's turn."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            ticket = threading.Lock()
            ticket.acquire()
            self._waiting.append(ticket)
        ticket.acquire()

    def __exit__(self, *_: object) -> None:
        """Hand over to whoever waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


def in_process(
    name: SystemName, function: Callable[[Feeds], Any], rows: Sequence[Feeds], at_once: int
) -> System:
    """Return a system that runs a function in this process.

    Args:
        name: as in the report.
        function: takes one batch of named arrays; may be called from several threads.
        rows: inputs, used in turn, batch axis of size 1.
        at_once: most calls that run together; further callers wait their turn.
    """
    turn = Turnstile(at_once)

    @contextmanager
    def make_call(index: int) -> Iterator[Call]:
        inputs = cycle([*rows[index % len(rows) :], *rows[: index % len(rows)]])

        def call() -> None:
            with turn:
                function(next(inputs))

        yield call

    return System(name, "in_process", make_call)


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


def triton(
    name: SystemName,
    protocol: TransportName,
    urls: Mapping[TransportName, str],
    model: str,
    rows: Sequence[Feeds],
) -> System:
    """Return a system that asks a Triton server.

    Args:
        name: as in the report.
        protocol: `http` or `grpc`.
        urls: `host:port` of both endpoints; statistics are always read over HTTP.
        model: name of the served model.
        rows: inputs, used in turn, batch axis of size 1.

    Raises:
        ServerUnavailable, ModelNotFound, DeadlineExceeded: by cause.
    """
    session = TritonSession(urls[protocol], model, protocol, timeout_s=_TIMEOUT_S)
    connect, encode = _TRANSPORTS[protocol]
    requests = [encode(model, session.inputs, session.outputs, row) for row in rows]

    @contextmanager
    def make_call(index: int) -> Iterator[Call]:
        first = index % len(requests)
        turns = cycle(requests[first:] + requests[:first])
        with connect(urls[protocol], model) as send:
            yield lambda: send(next(turns))

    return System(name, protocol, make_call, lambda: read_counters(urls["http"], model))


def measure(system: System, concurrency: int, seconds: float, warmup_s: float) -> tuple[Row, str]:
    """Load one system once.

    Returns:
        The row, and the message of the first failed request ("" when none failed).
    """
    seen: list[ServerCounters] = []

    def on_window() -> None:
        if system.counters is not None:
            seen.append(system.counters())

    load = closed_loop(system.make_call, concurrency, seconds, warmup_s, on_window)
    counted = seen[1].since(seen[0]) if seen else None
    return summarize(system.name, system.protocol, load, counted), load.first_error


def check_agreement(session: Session, reference: Session, row: Feeds, tolerance: float) -> None:
    """Make sure that two ways to run a network give the same answer before timing them.

    Raises:
        ServerError: an output differs by more than `tolerance`.
    """
    got, want = session.run(row), reference.run(row)
    for name, array in want.items():
        difference = float(np.abs(got[name] - array).max())
        if not difference <= tolerance:
            raise ServerError(
                f"benchmark: {session.provider}: {name}: expected the answer of "
                f"{reference.provider} within {tolerance:g}, got a difference of {difference:g}"
            )


def _http_request(
    model: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], row: Feeds
) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of an inference request with binary tensors."""
    import tritonclient.http as client
    from tritonclient.utils import np_to_triton_dtype

    tensors = []
    for spec in inputs:
        tensor = client.InferInput(
            spec.name, list(row[spec.name].shape), np_to_triton_dtype(spec.dtype)
        )
        tensor.set_data_from_numpy(row[spec.name])
        tensors.append(tensor)
    wanted = [client.InferRequestedOutput(spec.name) for spec in outputs]
    body, json_size = client.InferenceServerClient.generate_request_body(tensors, outputs=wanted)
    return bytes(body), {"Inference-Header-Content-Length": str(json_size)}


@contextmanager
def _http_call(url: str, model: str) -> Iterator[Callable[[Any], None]]:
    path = f"/v2/models/{model}/infer"

    def send(request: tuple[bytes, dict[str, str]]) -> None:
        connection.request("POST", path, *request)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ServerError(f"{model}: [{answer.status}] {body[:200]!r}")

    with closing(http.client.HTTPConnection(url, timeout=_TIMEOUT_S)) as connection:
        yield send


def _grpc_request(
    model: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], row: Feeds
) -> bytes:
    """Return a serialized ModelInferRequest with raw tensors."""
    from tritonclient.grpc import service_pb2
    from tritonclient.utils import np_to_triton_dtype

    request = service_pb2.ModelInferRequest(model_name=model)
    for spec in inputs:
        array = np.ascontiguousarray(row[spec.name])
        datatype = np_to_triton_dtype(spec.dtype)
        request.inputs.add(name=spec.name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(array.tobytes())
    for spec in outputs:
        request.outputs.add(name=spec.name)
    return bytes(request.SerializeToString())


@contextmanager
def _grpc_call(url: str, model: str) -> Iterator[Callable[[Any], None]]:
    import grpc

    options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own
    with grpc.insecure_channel(url, options=options) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        yield lambda request: infer(request, timeout=_TIMEOUT_S)


_TRANSPORTS: dict[TransportName, tuple[Any, Any]] = {
    "http": (_http_call, _http_request),
    "grpc": (_grpc_call, _grpc_request),
}
