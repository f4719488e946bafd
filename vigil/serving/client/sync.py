"""The client for threads; see `vigil.serving.client.aio` for asyncio."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vigil.errors import ServerError, VigilError
from vigil.feeds import Array, TensorSpec
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.client import shared, wire
from vigil.serving.client.base import BaseClient
from vigil.serving.client.policy import Retry
from vigil.serving.client.stream import CHUNK, Frames, Ranked, StreamState, chunks, ranked
from vigil.serving.client.tracing import traced
from vigil.serving.client.wire import Call
from vigil.triton import TransportName, TritonSession, http_client, triton_error


class Client(BaseClient):
    """A Triton server over HTTP or gRPC. Safe to call from several threads; a context manager."""

    _aio = False

    def __init__(
        self,
        url: str,
        protocol: TransportName = "grpc",
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        shared_memory: bool = False,
        headers: Mapping[str, str] | None = None,
        tls: bool | str | Path = False,
    ) -> None:
        """Remember where the server is, see `BaseClient`; nothing is sent yet.

        With `shared_memory`, arrays pass through the memory of this machine, where the server is.
        """
        super().__init__(url, protocol, timeout_s=timeout_s, retry=retry, headers=headers, tls=tls)
        self._shared, self._local = shared_memory, threading.local()
        self._lanes: list[shared.Lane] = []
        self._taking = threading.Lock()
        self._specs: dict[str, tuple[TensorSpec, ...]] = {}

    def ready(self, model: str = "") -> bool:
        """Tell whether the server, or one of its models, says that it is ready."""
        try:
            client = self._client(self.timeout_s)
            options: dict[str, Any] = {"headers": dict(self._headers)}
            if self.protocol == "grpc":
                options["client_timeout"] = self.timeout_s
            if model:
                return bool(client.is_model_ready(model, **options))
            return bool(client.is_server_ready(**options))
        except Exception:  # whatever the transport raises, nobody is there to answer
            self._forget()
            return False

    def infer(
        self,
        model: str,
        feeds: Mapping[str, Array],
        *,
        outputs: Sequence[str] = (),
        version: str = "",
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Array]:
        """Run one batch.

        Args:
            model: the served model.
            feeds: arrays by input name.
            outputs: names of the outputs wanted; all of them where empty.
            version: of the model; the server's choice where empty.
            deadline_s: longest wait for this answer, instead of the client's.
            headers: sent with this request too, e.g. `traceparent`.

        Raises:
            ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded, ServerError: by
                cause.
        """
        return self.call(Call(model, feeds, outputs, version=version), deadline_s, headers)

    def classify(
        self, model: str, feeds: Mapping[str, Array], output: str = "probabilities", top: int = 3
    ) -> list[list[Ranked]]:
        """Return the `top` classes of each row, by Triton's classification extension.

        Raises:
            ServerError: see `infer`.
        """
        answer = self.call(Call(model, feeds, classes={output: top}))
        return ranked(answer[output])

    def behaviour(
        self,
        frames: Frames,
        time_s: Sequence[float] | NDArray[np.float64],
        model: str = "behaviour",
        chunk: int = CHUNK,
    ) -> Behaviour:
        """Return what people do in a whole video.

        Args:
            frames: (T, H, W, 3) uint8 RGB, T such pictures, or T JPEG files.
            time_s: T rising presentation times in seconds.
            model: the served model.
            chunk: frames sent at once.

        Raises:
            InputError: the arrays do not fit together.
            ServerError: see `infer`.
        """
        with self.stream(model) as stream:
            parts = [stream.send(*part) for part in chunks(frames, time_s, chunk)]
        return joined(parts)

    def stream(self, model: str = "behaviour") -> Stream:
        """Begin a stream of one camera's frames."""
        return Stream(self, model)

    def call(
        self,
        call: Call,
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Array]:
        """Send one request, again where that is safe; see `infer`."""
        deadline = self._deadline(call, deadline_s)
        with traced(call.model, self._headers | dict(headers or {})) as sent:
            while True:
                try:
                    return self._once(call, deadline.left(), sent)
                except ServerError as error:
                    pause_s = deadline.pause_s(error)
                    if pause_s is None:
                        raise
                    time.sleep(pause_s)

    def close(self) -> None:
        """Give shared memory back. Connections close with their threads."""
        lanes, self._lanes = self._lanes, []
        for lane in lanes:
            lane.client = self._client(self.timeout_s)  # that of another thread is not for this one
            lane.close()
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, call: Call, left_s: float, headers: dict[str, str]) -> dict[str, Array]:
        client = None
        try:
            client = self._client(left_s)
            options = call.options | {"headers": dict(headers)}
            if self.protocol == "grpc":
                options["client_timeout"] = left_s
            if self._shared and not call.classes:
                return self._through_memory(client, call, options)
            inputs, outputs = (f(self._module, call) for f in (wire.inputs_of, wire.outputs_of))
            return wire.arrays_of(client.infer(call.model, inputs, outputs=outputs, **options))
        except VigilError:
            raise
        except Exception as error:  # sockets, gevent and tritonclient raise unrelated classes
            self._forget()
            raise triton_error(self._subject(call), error) from error
        finally:
            if client is not None and client is not getattr(self._local, "client", None):
                client.close()

    def _through_memory(self, client: Any, call: Call, options: dict[str, Any]) -> dict[str, Array]:
        """Send and receive through shared memory what has a known size; the rest as ever."""
        lane = self._lane()
        specs = [s for s in self._outputs(call.model) if not call.outputs or s.name in call.outputs]
        inside = [spec for spec in specs if shared.fits(spec)]
        rows = len(next(iter(call.feeds.values()))) if call.feeds else 0
        wanted, offsets = lane.outputs(inside, rows) if inside and not call.place else ([], [])
        kept = inside if wanted else []
        others = [self._module.InferRequestedOutput(s.name) for s in specs if s not in kept]
        result = client.infer(
            call.model, lane.inputs(call.feeds), outputs=wanted + others, **options
        )
        found = {
            spec.name: lane.take(spec, rows, at) for spec, at in zip(kept, offsets, strict=True)
        }
        rest = {spec.name: result.as_numpy(spec.name) for spec in specs if spec not in kept}
        return wire.answer_of(result, found | rest)

    def _outputs(self, model: str) -> tuple[TensorSpec, ...]:
        if model not in self._specs:
            session = TritonSession(self.url, model, self.protocol, self.timeout_s)
            self._specs[model] = session.outputs
        return self._specs[model]

    def _client(self, left_s: float) -> Any:
        """Return this thread's connection; over HTTP a call of another length has its own."""
        if self.protocol == "http" and left_s < 0.9 * self.timeout_s:
            return self._connect(left_s)
        if getattr(self._local, "client", None) is None:
            self._local.client = self._connect(self.timeout_s)
        return self._local.client

    def _connect(self, limit_s: float) -> Any:
        if self.protocol == "grpc":
            return self._module.InferenceServerClient(self.url, **self._security)
        return http_client(
            self.url, connection_timeout=limit_s, network_timeout=limit_s, **self._security
        )

    def _lane(self) -> shared.Lane:
        """Return this thread's regions: those of a thread that is over, or new ones."""
        lane = getattr(self._local, "lane", None)
        if lane is None:
            client = self._client(self.timeout_s)
            with self._taking:
                lane = next((one for one in self._lanes if not one.thread.is_alive()), None)
                if lane is None:
                    lane = shared.Lane(client, self._module)
                    self._lanes.append(lane)
                lane.client, lane.thread = client, threading.current_thread()
            self._local.lane = lane
        return lane

    def _forget(self) -> None:
        """Use this thread's connection no more, nor what was registered over it."""
        lane = getattr(self._local, "lane", None)
        if lane is not None and lane in self._lanes:
            self._lanes.remove(lane)
            lane.close()
        self._local.client = self._local.lane = None


class Stream(StreamState):
    """One camera's frames on their way to the server; a context manager, for one thread.

    Leaving it ends the stream; what was still uncertain then is lost, unless `end` was asked.
    """

    def __init__(self, client: Client, model: str) -> None:
        """Begin a stream of `model`; nothing is sent yet."""
        super().__init__(model)
        self._client = client

    def send(
        self, frames: Frames, time_s: Sequence[float] | NDArray[np.float64], last: bool = False
    ) -> Behaviour:
        """Send the next frames; return what became certain.

        Args:
            frames: (T, H, W, 3) uint8 RGB, T such pictures, or T JPEG files.
            time_s: T presentation times in seconds, rising throughout the stream.
            last: whether the stream ends with them.

        Raises:
            InputError: the arrays do not fit together.
            ServerError: see `Client.infer`; a chunk is never sent twice.
        """
        return self._took(self._client.call(self._chunk(frames, time_s, last)), last)

    def end(self) -> Behaviour:
        """End the stream without another frame; return what was still uncertain."""
        return self.send((), (), last=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._begun and not self._ended and kind is None:
            self.end()
