"""What Triton calls: requests to streams and back, each request's fault its own.

A stream is a Triton sequence: its id tells cameras apart, its start flag begins with nobody known,
its end flag reports what is left. One call with both flags is a whole video. Triton's sequence
batcher sends all requests of a sequence here, in their order.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from vigil.errors import InputError, ServerError, VigilError
from vigil.serving.behaviour.bls import BlsSession
from vigil.serving.behaviour.frames import frames_of
from vigil.serving.behaviour.spec import FILE, read_spec
from vigil.serving.behaviour.stream import Pipeline, Stream


class Streams:
    """The streams that are remembered: bounded in number, forgotten when silent."""

    def __init__(self, most: int, idle_s: float) -> None:
        """Keep at most so many, none that was silent for longer than `idle_s` seconds."""
        self._most, self._idle_s = most, idle_s
        self._streams: OrderedDict[Any, tuple[Stream, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._streams)

    def begin(self, key: Any, stream: Stream, now_s: float) -> None:
        """Remember a fresh stream under `key`, in place of an older one of that name.

        Raises:
            ServerError: there are too many; those that speak are not forgotten for another.
        """
        self.expire(now_s)
        self.drop(key)
        if len(self._streams) >= self._most:
            raise ServerError(f"behaviour: expected at most {self._most} streams at once")
        self._streams[key] = (stream, now_s)

    def find(self, key: Any, now_s: float) -> Stream:
        """Return the stream of that name, heard of just now.

        Raises:
            InputError: there is none: it was silent for too long, failed, or never began.
        """
        self.expire(now_s)
        if key not in self._streams:
            raise InputError(
                f"behaviour: stream {key}: expected one that has begun, got none (it failed or "
                f"was silent for more than {self._idle_s:g} s); start it again"
            )
        stream, _ = self._streams.pop(key)
        self._streams[key] = (stream, now_s)
        return stream

    def drop(self, key: Any) -> None:
        """Forget a stream; harmless where there is none."""
        self._streams.pop(key, None)

    def expire(self, now_s: float) -> None:
        """Forget every stream that was silent for too long."""
        while self._streams:
            key, (_, heard_s) = next(iter(self._streams.items()))
            if now_s - heard_s <= self._idle_s:
                return
            del self._streams[key]


class BehaviourModel:
    """One instance of one version of the model; Triton calls the methods by these names."""

    def __init__(self, backend: Any) -> None:
        """Take the module `triton_python_backend_utils`, which exists in Triton's stub only."""
        self._backend = backend

    def initialize(self, args: dict[str, str]) -> None:
        """Read the description beside the model and build the pipeline over the server.

        Raises:
            TritonModelException: a broken description, or networks that do not fit it.
        """
        utils = self._backend
        folder = Path(args["model_repository"], args["model_version"])
        try:
            spec = read_spec(folder / FILE)
            self._pipeline = Pipeline.of(spec, lambda network: BlsSession(network, utils))
        except VigilError as error:
            raise utils.TritonModelException(str(error)) from error
        self._streams = Streams(spec.limits.streams, spec.limits.idle_s)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests in their order; what fails in one leaves the others as they are."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        utils = self._backend
        try:
            tensors = self._answer(request)
        except InputError as error:
            return self._failure(str(error), utils.TritonError.INVALID_ARG)
        except VigilError as error:
            return self._failure(str(error), utils.TritonError.INTERNAL)
        except Exception as error:  # whatever breaks in a frame must not end the process
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return self._failure(f"behaviour: {reason}", utils.TritonError.INTERNAL)
        wanted = request.requested_output_names()
        return utils.InferenceResponse(
            [utils.Tensor(name, tensors[name]) for name in tensors if name in wanted]
        )

    def _answer(self, request: Any) -> dict[str, Any]:
        utils = self._backend
        key, flags, now_s = request.correlation_id(), request.flags(), time.monotonic()
        first = bool(flags & utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START)
        last = bool(flags & utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)
        time_s, frames = self._read(request)
        stream = Stream(self._pipeline) if first else self._streams.find(key, now_s)
        stream.check(frames, time_s)
        if first and not last:
            self._streams.begin(key, stream, now_s)
        try:
            found = stream.feed(frames, time_s, last)
        except Exception:
            self._streams.drop(key)  # half a chunk was taken: what comes next would be wrong
            raise
        if last:
            self._streams.drop(key)
        return {name: np.ascontiguousarray(value) for name, value in found.tensors.items()}

    def _read(self, request: Any) -> tuple[Any, list[Any]]:
        given = {}
        for name in ("time_s", "jpeg", "frames"):
            tensor = self._backend.get_input_tensor_by_name(request, name)
            given[name] = None if tensor is None else tensor.as_numpy()
        if given["time_s"] is None:
            raise InputError("time_s: expected seconds, one a frame, got none")
        jpeg = None if given["jpeg"] is None else given["jpeg"].reshape(-1).tolist()
        frames = frames_of(jpeg, given["frames"], self._pipeline.spec.limits)
        return given["time_s"].reshape(-1), frames

    def _failure(self, message: str, code: Any) -> Any:
        utils = self._backend
        return utils.InferenceResponse(error=utils.TritonError(message, code))
