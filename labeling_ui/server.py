"""One uvicorn, one process, one port; ends on Ctrl-C and leaves nothing behind."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from labeling_ui.app import build
from labeling_ui.auth import Doorkeeper
from labeling_ui.service import Service
from labeling_ui.sessions import Sessions
from labeling_ui.suggesting import Ranker, Suggester
from vigil.config import Config, LabelingSection
from vigil.errors import InputError, ServerError
from vigil.labels.project import open_store, sync
from vigil.paths import Paths

_LOG = logging.getLogger(__name__)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  names that no browser can go to
_BACKLOG = 512
_MOST_MESSAGE = 32 << 20  # bytes of a WebSocket's message
_GRACE_S = 3  # for answers under way when the server is told to end


def serve(
    config: Config, paths: Paths, announce: Callable[[str], None],
    certificate: Path | None = None, key: Path | None = None,
) -> None:  # fmt: skip
    """Serve a project's labeling UI until Ctrl-C or SIGTERM.

    Args:
        config: its parameters.
        paths: its places.
        announce: receives the address once it answers.
        certificate: PEM for TLS, or None.
        key: PEM of the certificate's private key.

    Raises:
        InputError: nothing to label, or open to a network without users.
        ServerError: the port is taken.
        StoreError: the store cannot be opened.
    """
    names = _names(config.labeling)
    listener = _listen(config.labeling.host, config.labeling.port)
    with listener, _opened(config, paths) as service:
        scheme = "https" if certificate else "http"
        address = f"{scheme}://{_literal(names[0])}:{listener.getsockname()[1]}"
        server = _Announcing(
            uvicorn.Config(
                build(service, frozenset(names)), log_level="warning", access_log=False,
                server_header=False, ws_max_size=_MOST_MESSAGE, timeout_graceful_shutdown=_GRACE_S,
                ssl_certfile=certificate, ssl_keyfile=key,
            ),
            lambda: announce(address),
        )  # fmt: skip
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass  # uvicorn has closed every connection and says so once more
        finally:
            signal.signal(signal.SIGTERM, before)
        if not server.started:
            raise ServerError("label: expected the server to start, got the reason above")


def _names(section: LabelingSection) -> list[str]:
    """Return the names by which browsers reach the server, the one to show first."""
    if is_loopback(section.host):
        return list(dict.fromkeys([section.host.lower(), *_LOOPBACK]))
    own = [] if section.host in _EVERYWHERE else [section.host]
    names = [name.lower() for name in (*section.hosts, *own)]
    if not names:
        raise InputError(
            f"label: {section.host}: expected labeling.hosts to name the server as browsers do, "
            "got none"
        )
    return names


def is_loopback(host: str) -> bool:
    """Whether nobody but this computer can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class _Announcing(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


@contextmanager
def _opened(config: Config, paths: Paths) -> Iterator[Service]:
    """Open the store with the clips that are cut now, and who may come to it."""
    section = config.labeling
    sessions = Sessions(paths.labeling / "sessions.json", section.session_hours * 3600)
    store = open_store(config, paths)
    try:
        doorkeeper = Doorkeeper(
            sessions, paths.users, section, is_loopback(section.host), store.record
        )
        for video_id in sync(store, paths):
            _LOG.warning("label: %s: expected its video, got none; its clips stay", video_id)
        suggester = Suggester(paths, config)
        ranker = Ranker(store, suggester, paths, config)
        yield Service(config, paths, store, doorkeeper, suggester, ranker)
    finally:
        store.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerError(f"label: {host}:{port}: expected a free port, got {error}") from error
    return listener


def _literal(host: str) -> str:
    return f"[{host}]" if ":" in host else host
