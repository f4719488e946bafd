"""Serve the labeling UI, on loopback unless told otherwise, until Ctrl-C."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from labeling_ui.server import serve
from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM; say where."""

    def announce(address: str) -> None:
        print(f"label: open {address}")
        print("label: Ctrl-C stops", flush=True)

    serve(config, paths, announce, arguments.certificate, arguments.key)
    print("label: stopped")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--certificate", {"type": Path, "help": "PEM file: serve HTTPS"}),
        ("--key", {"type": Path, "help": "PEM file of the certificate's private key"}),
    )
