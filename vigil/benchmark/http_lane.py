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


class HttpLane(asyncio.BufferedProtocol):
    """A connection; opened by `open_http`."""

    def __init__(self, requests: Sequence[bytes], timeout_s: float) -> None:
        """Take whole requests, head and body, that go round."""
        self.requests, self.timeout_s = requests, timeout_s
        self.loop = asyncio.get_running_loop()
        self.buffer = bytearray(_HEAD_LIMIT)
        self.filled = 0  # bytes of the buffer that came
        self.total = 0  # bytes of the answer, head and body; 0 while its head is incomplete
        self.head = b""  # of the last answer: that of the next is mostly the same
        self.length = 0  # of the body that it announced
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
            raise HttpError(self.status, data[len(self.head) :])
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

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes are to be written."""
        wanted = max(self.total, self.filled + 1)
        if len(self.buffer) < wanted:
            self.buffer = self.buffer + bytes(max(wanted - len(self.buffer), _HEAD_LIMIT))
        return memoryview(self.buffer)[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Collect an answer and hand it over once it is whole."""
        self.filled += nbytes
        if not self.total and not self._read_head():
            return
        if self.filled >= self.total and self.answer is not None and not self.answer.done():
            answer = bytes(memoryview(self.buffer)[: self.total])
            if self.filled > self.total:
                self.buffer[: self.filled - self.total] = self.buffer[self.total : self.filled]
            self.filled -= self.total
            self.total = 0
            self.answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits."""
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def _read_head(self) -> bool:
        """Take status and length from the answer's head; tell whether it is there."""
        if self.head and self.filled >= len(self.head) and self.buffer.startswith(self.head):
            self.total = len(self.head) + self.length
            return True
        end = self.buffer.find(b"\r\n\r\n", 0, self.filled)
        if end < 0:
            if self.filled >= _HEAD_LIMIT:
                self._fail(ServerError("expected an HTTP answer, got something else"))
            return False
        head = bytes(self.buffer[: end + 4])
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b":", 1) for line in lines[1:] if b":" in line)
        try:
            self.status, self.length = int(lines[0].split()[1]), int(fields[b"content-length"])
        except (KeyError, ValueError, IndexError):
            self._fail(ServerError("expected an HTTP answer with a content length, got none"))
            return False
        self.head, self.total = head, len(head) + self.length
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
