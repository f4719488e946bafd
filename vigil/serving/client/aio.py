"""The client for asyncio; the same calls as `vigil.serving.client.sync`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vigil.errors import ServerError
from vigil.feeds import Array
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.client import wire
from vigil.serving.client.base import BaseClient
from vigil.serving.client.stream import CHUNK, Frames, Ranked, StreamState, chunks, ranked
from vigil.serving.client.tracing import traced
from vigil.serving.client.wire import Call
from vigil.triton import triton_error


class AsyncClient(BaseClient):
    """A Triton server over HTTP or gRPC, for one event loop; an asynchronous context manager."""

    _aio = True
    _client: Any = None

    async def ready(self, model: str = "") -> bool:
        """Tell whether the server, or one of its models, says that it is ready."""
        try:
            client, sent = self._connection(), {"headers": dict(self._headers)}
            asked = (
                client.is_model_ready(model, **sent) if model else client.is_server_ready(**sent)
            )
            return bool(await asyncio.wait_for(asked, self.timeout_s))
        except Exception:  # whatever the transport raises, nobody is there to answer
            return False

    async def infer(
        self,
        model: str,
        feeds: Mapping[str, Array],
        *,
        outputs: Sequence[str] = (),
        version: str = "",
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Array]:
        """Run one batch; see `vigil.serving.client.sync.Client.infer`."""
        return await self.call(Call(model, feeds, outputs, version=version), deadline_s, headers)

    async def classify(
        self, model: str, feeds: Mapping[str, Array], output: str = "probabilities", top: int = 3
    ) -> list[list[Ranked]]:
        """Return the `top` classes of each row; see the other client."""
        answer = await self.call(Call(model, feeds, classes={output: top}))
        return ranked(answer[output])

    async def behaviour(
        self,
        frames: Frames,
        time_s: Sequence[float] | NDArray[np.float64],
        model: str = "behaviour",
        chunk: int = CHUNK,
    ) -> Behaviour:
        """Return what people do in a whole video; see the other client."""
        stream = AsyncStream(self, model)
        return joined([await stream.send(*part) for part in chunks(frames, time_s, chunk)])

    def stream(self, model: str = "behaviour") -> AsyncStream:
        """Begin a stream of one camera's frames."""
        return AsyncStream(self, model)

    async def call(
        self,
        call: Call,
        deadline_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Array]:
        """Send one request, again where that is safe."""
        deadline = self._deadline(call, deadline_s)
        with traced(call.model, self._headers | dict(headers or {})) as sent:
            while True:
                try:
                    return await self._once(call, deadline.left(), sent)
                except ServerError as error:
                    pause_s = deadline.pause_s(error)
                    if pause_s is None:
                        raise
                    await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _once(self, call: Call, left_s: float, headers: dict[str, str]) -> dict[str, Array]:
        inputs, outputs = (f(self._module, call) for f in (wire.inputs_of, wire.outputs_of))
        options = call.options | {"headers": dict(headers)}
        try:
            asked = self._connection().infer(call.model, inputs, outputs=outputs, **options)
            return wire.arrays_of(await asyncio.wait_for(asked, left_s))
        except Exception as error:  # sockets, aiohttp and tritonclient raise unrelated classes
            raise triton_error(self._subject(call), error) from error

    def _connection(self) -> Any:
        if self._client is None:
            self._client = self._module.InferenceServerClient(self.url, **self._security)
        return self._client


class AsyncStream(StreamState):
    """One camera's frames on their way to the server, one chunk after the other."""

    def __init__(self, client: AsyncClient, model: str) -> None:
        """Begin a stream of `model`; nothing is sent yet."""
        super().__init__(model)
        self._client = client

    async def send(
        self, frames: Frames, time_s: Sequence[float] | NDArray[np.float64], last: bool = False
    ) -> Behaviour:
        """Send the next frames; return what became certain; see the other client's."""
        return self._took(await self._client.call(self._chunk(frames, time_s, last)), last)

    async def end(self) -> Behaviour:
        """End the stream without another frame; return what was still uncertain."""
        return await self.send((), (), last=True)
