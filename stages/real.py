"""Run every stage on real footage, cross-validated by scene, and write the figures down."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError, VigilError
from vigil.paths import Paths
from vigil.real import link_videos, publish_labels
from vigil.schema import read_clips
from vigil.weights import MIRROR_VARIABLE

FOLDER = "footage/surveillance_fight"


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Link the footage, then mask, clip, find skeletons, train, evaluate, export and serve."""
    real = Path(os.environ.get("VIGIL_REAL", "")).resolve()
    source = real / FOLDER
    if "VIGIL_REAL" not in os.environ or not source.is_dir():
        raise InputError(f"real: expected VIGIL_REAL to name a folder with {FOLDER}, got none")
    os.environ.setdefault(MIRROR_VARIABLE, str(real / "weights"))
    print(f"real: {link_videos(source, paths)} labeled videos", flush=True)
    for name in ("weights", "mask", "clips"):
        stage(name, arguments.params)
    print(f"real: {publish_labels(source, read_clips(paths.clips), paths)} labeled clips")
    for name in ("skeletons", "dataset", "train", "evaluate", "export", "ask"):
        stage(name, arguments.params)
    print(f"real: reports in {paths.reports.relative_to(paths.root)}")


def stage(name: str, params: str) -> None:
    """Run one stage as its own process.

    Raises:
        VigilError: it failed; it has said why.
    """
    print(f"== {name}", flush=True)
    done = subprocess.run([sys.executable, "-m", f"stages.{name}", "--params", params], check=False)
    if done.returncode:
        raise VigilError(f"real: stage {name} ended with exit code {done.returncode}")


if __name__ == "__main__":
    run(main, __doc__)
