"""The client library with a request log: the same calls, and a line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.feeds import Array
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.client import AsyncClient, Client
from vigil.serving.client.stream import CHUNK, Frames, chunks
from vigil.serving.client.wire import version_of
from vigil.watching.log import Call, RequestLog
from vigil.watching.record import Note
from vigil.watching.windows import Windows

Times = Sequence[float] | NDArray[np.float64]
_NOTHING = Note()


class WatchedClient:
    """A `Client` whose requests are logged. Safe to call from several threads."""

    def __init__(self, client: Client, log: RequestLog) -> None:
        """Ask through `client`; write to `log`. Both stay the caller's to close."""
        self._client, self._log = client, log

    def infer(
        self, model: str, feeds: Mapping[str, Array], note: Note = _NOTHING, **options: Any
    ) -> dict[str, Array]:
        """Run one batch.

        Args:
            model: the served model.
            feeds: arrays by input name.
            note: what is known of the rows.
            options: further ones of `Client.infer`.

        Raises:
            ServerError: see `Client.infer`.
        """
        with self._log.request(model, _rows(feeds), note) as call:
            answer = self._client.infer(model, feeds, **options)
            _told(self._log, call, model, feeds, answer, note)
        return answer

    def behaviour(
        self,
        frames: Frames,
        time_s: Times,
        model: str = "behaviour",
        *,
        recognizers: Sequence[str] = (),
        source: str = "",
    ) -> Behaviour:
        """Return what people do in a whole video.

        Args:
            frames: (T, H, W, 3) uint8 RGB, or T JPEG files.
            time_s: T rising presentation times in seconds.
            model: the served model.
            recognizers: names in the order of its answers, its parameter `recognizers`.
            source: the video or camera.

        Raises:
            InputError: the arrays do not fit together.
            ServerError: see `Client.infer`.
        """
        stream = self.stream(model, recognizers=recognizers, source=source)
        return joined([stream.send(*part) for part in chunks(frames, time_s, CHUNK)])

    def stream(
        self, model: str = "behaviour", *, recognizers: Sequence[str] = (), source: str = ""
    ) -> WatchedStream:
        """Begin a stream of one camera's frames; see `behaviour`."""
        return WatchedStream(self._client, self._log, model, recognizers, source)


class _StreamLog:
    """What both watched streams write of a stream's chunks."""

    def __init__(
        self, log: RequestLog, model: str, recognizers: Sequence[str], source: str
    ) -> None:
        self._log, self._model = log, model
        self._windows, self._note = Windows(recognizers, log.classes), Note(source=source)

    def _request(self, frames: Frames) -> AbstractContextManager[Call]:
        return self._log.request(self._model, len(frames), self._note)

    def _told(self, call: Call, version: str, found: Behaviour) -> None:
        def tell() -> None:
            call.version = version
            call.seen = self._windows.tell(found)

        self._log.quietly(tell)


class WatchedStream(_StreamLog):
    """A stream whose answers are logged; for one thread."""

    def __init__(
        self, client: Client, log: RequestLog, model: str, recognizers: Sequence[str], source: str
    ) -> None:
        """Begin; see `WatchedClient.behaviour`."""
        super().__init__(log, model, recognizers, source)
        self._stream = client.stream(model)

    def send(self, frames: Frames, time_s: Times, last: bool = False) -> Behaviour:
        """Send the next frames; see `vigil.serving.client.sync.Stream.send`."""
        with self._request(frames) as call:
            found = self._stream.send(frames, time_s, last)
            self._told(call, self._stream.version, found)
        return found

    def end(self) -> Behaviour:
        """End the stream without another frame; return what was still uncertain."""
        return self.send((), (), last=True)


class AsyncWatchedClient:
    """An `AsyncClient` whose requests are logged, for one event loop."""

    def __init__(self, client: AsyncClient, log: RequestLog) -> None:
        """Ask through `client`; write to `log`. Both stay the caller's to close."""
        self._client, self._log = client, log

    async def infer(
        self, model: str, feeds: Mapping[str, Array], note: Note = _NOTHING, **options: Any
    ) -> dict[str, Array]:
        """Run one batch; see `WatchedClient.infer`."""
        with self._log.request(model, _rows(feeds), note) as call:
            answer = await self._client.infer(model, feeds, **options)
            _told(self._log, call, model, feeds, answer, note)
        return answer

    async def behaviour(
        self,
        frames: Frames,
        time_s: Times,
        model: str = "behaviour",
        *,
        recognizers: Sequence[str] = (),
        source: str = "",
    ) -> Behaviour:
        """Return what people do in a whole video; see `WatchedClient.behaviour`."""
        stream = self.stream(model, recognizers=recognizers, source=source)
        return joined([await stream.send(*part) for part in chunks(frames, time_s, CHUNK)])

    def stream(
        self, model: str = "behaviour", *, recognizers: Sequence[str] = (), source: str = ""
    ) -> AsyncWatchedStream:
        """Begin a stream of one camera's frames; see `WatchedClient.behaviour`."""
        return AsyncWatchedStream(self._client, self._log, model, recognizers, source)


class AsyncWatchedStream(_StreamLog):
    """A stream whose answers are logged, for one event loop; one chunk after the other."""

    def __init__(
        self,
        client: AsyncClient,
        log: RequestLog,
        model: str,
        recognizers: Sequence[str],
        source: str,
    ) -> None:
        """Begin; see `WatchedClient.behaviour`."""
        super().__init__(log, model, recognizers, source)
        self._stream = client.stream(model)

    async def send(self, frames: Frames, time_s: Times, last: bool = False) -> Behaviour:
        """Send the next frames; see `vigil.serving.client.sync.Stream.send`."""
        with self._request(frames) as call:
            found = await self._stream.send(frames, time_s, last)
            self._told(call, self._stream.version, found)
        return found

    async def end(self) -> Behaviour:
        """End the stream without another frame; return what was still uncertain."""
        return await self.send((), (), last=True)


def _told(
    log: RequestLog, call: Call, model: str, feeds: Mapping[str, Array],
    answer: Mapping[str, Array], note: Note,
) -> None:  # fmt: skip
    call.version = version_of(answer)
    log.quietly(lambda: log.tell(call, model, feeds, answer, note))


def _rows(feeds: Mapping[str, Array]) -> int:
    first = next(iter(feeds.values()), None)
    return len(first) if isinstance(first, np.ndarray) and first.ndim else 0
