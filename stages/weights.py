"""Put the pretrained networks in place: verified, exported to ONNX once."""

from __future__ import annotations

import argparse

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.pretrained import install


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Install the networks that `params.yaml` names."""
    for item in install(config, paths, lambda line: print(line, flush=True)):
        size = item.path.stat().st_size / 1e6
        where = item.path.relative_to(paths.root)
        print(f"weights: {item.role}: {item.source} ({item.license}) -> {where} ({size:.1f} MB)")


if __name__ == "__main__":
    run(main, __doc__)
