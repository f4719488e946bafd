"""Serve the exported recognizer and ask it about every test clip, over HTTP and over gRPC."""

from __future__ import annotations

import argparse

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.serving.server import EmbeddedTriton
from vigil.serving.trial import ask


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Start the embedded Triton on free loopback ports, ask, and stop it."""
    model = config.benchmark.model
    with EmbeddedTriton(
        paths.triton_repo, [model], startup_timeout_s=config.serve.startup_timeout_s
    ) as server:
        answers = ask(config, paths, model, {"http": server.http_url, "grpc": server.grpc_url})
    count = len(answers.truth)
    print(
        f"ask: {model}: {answers.right} of {count} test clips right; HTTP and gRPC differ by at "
        f"most {answers.agree:.1e}"
    )


if __name__ == "__main__":
    run(main, __doc__)
