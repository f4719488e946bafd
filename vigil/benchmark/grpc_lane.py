"""gRPC requests that are serialized beforehand, over a channel that some callers share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from vigil.errors import ServerError

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_LIMIT = 256 * 2**20  # bytes of a message: whole clips are larger than gRPC's 4 MiB


class GrpcError(ServerError):
    """The call ended with another status than OK."""

    def __init__(self, status: str, details: str) -> None:
        """Keep the status as the kind of the failure."""
        super().__init__(f"[{status}] {details}")
        self.kind = f"grpc {status}"


class GrpcLane:
    """A caller's place on a channel of its own."""

    def __init__(self, url: str, requests: Sequence[bytes], timeout_s: float) -> None:
        """Connect to `host:port`; the connection is made with the first request."""
        import grpc

        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_send_message_length", _LIMIT),
            ("grpc.max_receive_message_length", _LIMIT),
        ]
        self.requests, self.timeout_s = requests, timeout_s
        self.channel = grpc.aio.insecure_channel(url, options=options)
        self.infer = self.channel.unary_unary(_METHOD)
        self.closing: asyncio.Task[None] | None = None

    async def ask(self, turn: int) -> bytes:
        """Make a call; return the serialized answer.

        Raises:
            TimeoutError: it did not come in time.
            ConnectionError: nobody answers at the address.
            GrpcError: any other status than OK.
        """
        import grpc

        try:
            return bytes(
                await self.infer(self.requests[turn % len(self.requests)], timeout=self.timeout_s)
            )
        except grpc.aio.AioRpcError as error:
            raise _named(error.code().name, str(error.details())) from error

    def close(self) -> None:
        """Hang up."""
        self.closing = asyncio.get_running_loop().create_task(self.channel.close())


def _named(status: str, details: str) -> Exception:
    if status == "DEADLINE_EXCEEDED":
        return TimeoutError(details)
    refused = "refused" in details.lower()
    if status == "UNAVAILABLE" and (refused or "connect" in details or "ocket" in details):
        return ConnectionRefusedError(details) if refused else ConnectionResetError(details)
    return GrpcError(status, details)


async def open_grpc(url: str, requests: Sequence[bytes], timeout_s: float) -> Any:
    """Return a lane on a channel to `host:port`."""
    return GrpcLane(url, requests, timeout_s)
