"""What the clients for threads and for asyncio are made of: where, how long, how often, as whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vigil.serving.client import wire
from vigil.serving.client.policy import Deadline, Retry
from vigil.serving.client.wire import Call
from vigil.triton import TransportName


class BaseClient:
    """Where a server is and how it is asked; the clients add the asking.

    Attributes:
        url: `host:port` of the endpoint.
        protocol: which endpoint that is.
        timeout_s: longest wait for an answer, in seconds.
    """

    _aio: ClassVar[bool]

    def __init__(
        self,
        url: str,
        protocol: TransportName = "grpc",
        *,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        headers: Mapping[str, str] | None = None,
        tls: bool | str | Path = False,
    ) -> None:
        """Remember where the server is; nothing is sent yet.

        Args:
            url: `host:port` of the endpoint of that protocol.
            protocol: `http` or `grpc`.
            timeout_s: longest wait for an answer, further attempts included, in seconds.
            retry: when to try again; None: as `Retry` says by itself.
            headers: sent with every request, e.g. `authorization`.
            tls: speak TLS and trust the public authorities (True), or those of a PEM file.

        Raises:
            InputError: there is no such PEM file.
        """
        self.url, self.protocol, self.timeout_s = url, protocol, timeout_s
        self._retry, self._headers = retry or Retry(), dict(headers or {})
        self._module = wire.client_module(protocol, aio=self._aio)
        self._security = wire.security(protocol, tls, aio=self._aio)

    def _deadline(self, call: Call, deadline_s: float | None) -> Deadline:
        """Begin the time of one call; a chunk of a stream is never sent twice."""
        pauses = iter(()) if call.place else self._retry.pauses()
        return Deadline(self._subject(call), deadline_s or self.timeout_s, pauses)

    def _subject(self, call: Call) -> str:
        return f"{call.model} at {self.protocol}://{self.url}"
