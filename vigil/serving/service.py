"""The embedded server as a service: watched, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from vigil.config import ServeSection, WatchSection
from vigil.errors import ServerError
from vigil.serving.server import EmbeddedTriton
from vigil.serving.watch import Watchdog

_POLL_S = 0.5


def serve(
    repository: Path | str,
    models: Sequence[str],
    params: ServeSection,
    watch: WatchSection,
    say: Callable[[str], None],
) -> None:
    """Serve models until Ctrl-C or SIGTERM, and repair instances that die meanwhile.

    Args:
        repository: the model repository: a folder, or an S3 address.
        models: what is loaded at the start; others can be loaded while it runs.
        params: ports and the longest wait for the start.
        watch: how often the watchdog looks.
        say: receives lines for a person: where it listens, what was repaired.

    Raises:
        ServerError: the server did not start, or ended by itself.
    """
    stop = threading.Event()
    server = EmbeddedTriton(
        repository,
        models,
        http_port=params.http_port,
        grpc_port=params.grpc_port,
        metrics_port=params.metrics_port,
        startup_timeout_s=params.startup_timeout_s,
    )
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with server:
        for model, provider in sorted(server.providers.items()):
            say(f"serve: {model}: ready on {provider}")
        say(f"serve: HTTP     {server.http_url}")
        say(f"serve: gRPC     {server.grpc_url}")
        say(f"serve: metrics  {server.metrics_url}")
        say("serve: Ctrl-C stops")
        with Watchdog(server.http_url, watch.period_s, watch.timeout_s, say, server):
            while not stop.wait(_POLL_S):
                if not server.running:
                    raise ServerError(f"serve: tritonserver ended by itself\n{server.log_tail()}")
    say("serve: stopped")
