"""Serve the configured models with the embedded Triton, on loopback, until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.errors import ModelError, ServerError
from vigil.paths import Paths
from vigil.serving.repository import servable
from vigil.serving.server import EmbeddedTriton


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Start the server, say where it listens, and stop it cleanly on Ctrl-C or SIGTERM."""
    models = servable(paths.triton_repo)
    if not models:
        raise ModelError(f"serve: {paths.triton_repo}: expected an exported recognizer, got none")
    stop = threading.Event()
    server = EmbeddedTriton(
        paths.triton_repo,
        models,
        http_port=config.serve.http_port,
        grpc_port=config.serve.grpc_port,
        metrics_port=config.serve.metrics_port,
        startup_timeout_s=config.serve.startup_timeout_s,
    )
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with server:
        for model, provider in sorted(server.providers.items()):
            print(f"serve: {model}: ready on {provider}")
        print(f"serve: HTTP     {server.http_url}")
        print(f"serve: gRPC     {server.grpc_url}")
        print(f"serve: metrics  {server.metrics_url}")
        print("serve: Ctrl-C stops", flush=True)
        while not stop.wait(0.5):
            if not server.running:
                raise ServerError(f"serve: tritonserver ended by itself\n{server.log_tail()}")
    print("serve: stopped")


if __name__ == "__main__":
    run(main, __doc__)
