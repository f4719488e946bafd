"""One keep-alive HTTP connection that sends requests made beforehand, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from vigil.errors import ServerError

_HEAD_LIMIT = 65536


class HttpError(ServerError):
    """The server answered with another status than 200."""

    def __init__(self, status: int, body: bytes) -> None:
        """Keep the status as the kind of the failure."""
        super().__init__(f"[{status}] {body[:200].decode(errors='replace')}")
        self.kind = f"http {status}"


class HttpLane(asyncio.Protocol):
    """A connection; opened by `open_http`."""

    def __init__(self, requests: Sequence[bytes], timeout_s: float) -> None:
        """Take whole requests, head and body, that go round."""
        self.requests, self.timeout_s = requests, timeout_s
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray()
        self.total = 0  # bytes of the answer, head and body; 0 while its head is incomplete
        self.head = 0
        self.status = 0
        self.answer: asyncio.Future[bytes] | None = None
        self.deadline = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    async def ask(self, turn: int) -> bytes:
        """Send a request; return the whole answer, head and body.

        Raises:
            TimeoutError: it did not come in time.
            HttpError: its status is not 200.
            ConnectionError: the connection broke.
            ServerError: it is no HTTP answer with a length.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the server closed the connection")
        self.answer = self.loop.create_future()
        self.deadline = self.loop.time() + self.timeout_s
        if self.timer is None:
            self.timer = self.loop.call_at(self.deadline, self._watch)
        self.transport.write(self.requests[turn % len(self.requests)])
        data = await self.answer
        if self.status != 200:
            raise HttpError(self.status, data[self.head :])
        return data

    def close(self) -> None:
        """Hang up."""
        if self.timer is not None:
            self.timer.cancel()
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's own contract
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect an answer and hand it over once it is whole."""
        self.buffer += data
        if not self.total and not self._read_head():
            return
        if len(self.buffer) >= self.total and self.answer is not None and not self.answer.done():
            answer = bytes(self.buffer[: self.total])
            del self.buffer[: self.total]
            self.total = 0
            self.answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits."""
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def _read_head(self) -> bool:
        """Take status and length from the answer's head; tell whether it is there."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > _HEAD_LIMIT:
                self._fail(ServerError("expected an HTTP answer, got something else"))
            return False
        lines = bytes(self.buffer[:end]).lower().split(b"\r\n")
        fields = dict(line.split(b":", 1) for line in lines[1:] if b":" in line)
        try:
            self.status = int(lines[0].split()[1])
            self.head, self.total = end + 4, end + 4 + int(fields[b"content-length"])
        except (KeyError, ValueError, IndexError):
            self._fail(ServerError("expected an HTTP answer with a content length, got none"))
            return False
        return True

    def _watch(self) -> None:
        """Fail a request that is overdue; look again later where it is not."""
        self.timer = None
        if self.answer is None or self.answer.done():
            return
        if self.loop.time() >= self.deadline:
            self._fail(TimeoutError(f"no answer within {self.timeout_s:g} s"))
        else:
            self.timer = self.loop.call_at(self.deadline, self._watch)

    def _fail(self, error: Exception) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


async def open_http(url: str, requests: Sequence[bytes], timeout_s: float) -> HttpLane:
    """Connect to `host:port`.

    Args:
        url: the server.
        requests: whole requests, head and body.
        timeout_s: longest wait for the connection, and for each answer.

    Raises:
        OSError: nobody listens there, or not in time.
    """
    host, _, port = url.rpartition(":")
    connect = asyncio.get_running_loop().create_connection(
        lambda: HttpLane(requests, timeout_s), host.strip("[]"), int(port)
    )
    _, lane = await asyncio.wait_for(connect, timeout_s)
    return lane
