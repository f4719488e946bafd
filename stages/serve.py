"""Serve the configured models with the embedded Triton, on loopback, until Ctrl-C."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import ModelError
from vigil.paths import Paths
from vigil.serving.repository import servable
from vigil.serving.service import serve


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Start the server, say where it listens, and stop it cleanly on Ctrl-C or SIGTERM."""
    models = servable(paths.triton_repo)
    if not models:
        raise ModelError(f"serve: {paths.triton_repo}: expected an exported recognizer, got none")
    say = partial(print, flush=True)
    serve(paths.triton_repo, models, config.serve, config.watch, say)


if __name__ == "__main__":
    run(main, __doc__)
