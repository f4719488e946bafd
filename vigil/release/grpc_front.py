"""The front's other door: what callers may ask Triton over gRPC, and the same trials.

Messages pass as bytes. Only while a trial is held are requests for inference read, to see whose
they are. A caller's deadline, cancellation and metadata reach the server, and the server's status
the caller.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from grpc import aio

from vigil.errors import ServerError
from vigil.release.split import Split
from vigil.serving.control import ADMIN_HEADER
from vigil.serving.kserve_grpc import (
    SERVICE,
    Message,
    can_compare,
    classes_of,
    read_answer,
    read_request,
)

LARGEST = 64 * 2**20  # bytes of a request that is kept to be sent twice
_READ = {"ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata",
         "ModelConfig"}  # fmt: skip
_WHOLE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_KEYS = ("triton-grpc-protocol-", ADMIN_HEADER)  # to restricted endpoints
_GRACE_S = 60.0
Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True)
class GrpcAnswer:
    """A whole answer of Triton over gRPC, and how long it took in seconds.

    Attributes:
        message: `ModelInferResponse`; None where `error` says why not.
        error: what the server refused with.
        trailing: metadata behind the answer.
        seconds: how long it took.
    """

    message: Message
    error: aio.AioRpcError | None
    trailing: Metadata
    seconds: float

    def classes(self) -> list[int]:
        """See `vigil.release.split.Reply`."""
        if self.error is not None:
            said = " ".join((self.error.details() or "").split())[:200]
            raise ServerError(f"[{self.error.code().name}] {said}")
        return classes_of(self.message)

    def named(self, model: str) -> GrpcAnswer:
        """See `vigil.release.split.Reply`."""
        self.message.model_name = model
        return self


class GrpcFront(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Passes calls on to one Triton server."""

    def __init__(self, upstream: str, trials: Mapping[str, Split]) -> None:
        """Remember the server at `upstream`, `host:port`; `trials` are those of the HTTP front."""
        self._upstream, self._trials = upstream, trials

    @asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[str]:
        """Serve at `address`, `host:port`, 0 for a free port; yield where. Calls under way end.

        Raises:
            ServerError: the port is taken.
        """
        options = [*_WHOLE, ("grpc.so_reuseport", 0)]
        server = aio.server(handlers=[self], options=options)
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServerError(f"front: gRPC {address}: {error}") from error
        async with aio.insecure_channel(self._upstream, options=_WHOLE) as self._channel:
            await server.start()
            try:
                yield f"{address.rpartition(':')[0]}:{port}"
            finally:
                await server.stop(_GRACE_S)

    def service(self, handler_call_details: Any) -> Any:
        """Return who handles a call; grpc asks for each."""
        path = handler_call_details.method
        name = path.removeprefix(SERVICE) if path.startswith(SERVICE) else ""
        if name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(partial(self._streamed, path))
        if name == "ModelInfer":
            return grpc.unary_unary_rpc_method_handler(self._infer)
        if name in _READ:
            return grpc.unary_unary_rpc_method_handler(partial(self._passed, path))
        return grpc.unary_unary_rpc_method_handler(_refuse)

    async def _infer(self, request: bytes, context: Any) -> bytes:
        """Answer one request of a caller's."""
        kept = self._trials and len(request) <= LARGEST
        asked = read_request(request if kept else b"")
        held = self._trials.get(asked.model_name)
        if not (held and can_compare(asked) and held.referee.sample()):
            return await self._passed(f"{SERVICE}ModelInfer", request, context)
        metadata, waits = _kept(context.invocation_metadata()), True

        async def ask(model: str, limit_s: float | None = None) -> GrpcAnswer:
            asked.model_name = model
            limit = _shared(limit_s, context.time_remaining() if waits else None)
            return await self._ask(asked.SerializeToString(), metadata, limit)

        answer = await held.answer(ask)
        waits = False  # the caller; what is asked from here on has all the time it needs
        if answer.error is not None:
            await _abort(context, answer.error)
        context.set_trailing_metadata(answer.trailing)
        found: bytes = answer.message.SerializeToString()
        return found

    async def _ask(self, request: bytes, metadata: Metadata, limit_s: float | None) -> GrpcAnswer:
        """Ask a model; see `vigil.release.split.Ask`."""
        began = time.perf_counter()
        call = self._channel.unary_unary(f"{SERVICE}ModelInfer", response_deserializer=read_answer)(
            request, timeout=limit_s, metadata=metadata
        )
        try:
            message, error = await call, None
        except aio.AioRpcError as failure:
            message, error = None, failure
        trailing = _kept(await call.trailing_metadata())
        return GrpcAnswer(message, error, trailing, time.perf_counter() - began)

    async def _passed(self, path: str, request: bytes, context: Any) -> bytes:
        """Pass a call and its answer on."""
        call = self._channel.unary_unary(path)(
            request, timeout=context.time_remaining(),
            metadata=_kept(context.invocation_metadata()),
        )  # fmt: skip
        try:
            answer: bytes = await call
        except aio.AioRpcError as error:
            await _abort(context, error)
        context.set_trailing_metadata(_kept(await call.trailing_metadata()))
        return answer

    async def _streamed(
        self, path: str, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        """Pass a stream on; it is no trial's."""
        call = self._channel.stream_stream(path)(
            requests, timeout=context.time_remaining(),
            metadata=_kept(context.invocation_metadata()),
        )  # fmt: skip
        try:
            async for answer in call:
                yield answer
            context.set_trailing_metadata(_kept(await call.trailing_metadata()))
        except aio.AioRpcError as error:
            await _abort(context, error)
        finally:
            call.cancel()  # nothing where it is over


def _shared(limit_s: float | None, left_s: float | None) -> float | None:
    """Return how long a model may take of the seconds that its caller has left.

    One with a limit of its own is on trial: half is kept for the one that is asked if it fails.
    """
    if left_s is None or limit_s is None:
        return limit_s if left_s is None else left_s
    return min(limit_s, left_s / 2)


async def _refuse(_: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this endpoint is not for clients")


async def _abort(context: Any, error: aio.AioRpcError) -> None:
    """End a call as the server ended it."""
    await context.abort(error.code(), error.details() or "", _kept(error.trailing_metadata()))


def _kept(metadata: Any) -> Metadata:
    """Return the metadata that travels on."""
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if key != "user-agent" and not key.startswith(_KEYS)
    )
