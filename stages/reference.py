"""Describe what a recognizer's inputs and answers looked like when it was made."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.ensemble import reads_of
from vigil.paths import Paths
from vigil.session import OnnxSession
from vigil.watching.reference import make


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `data/reference/<model>.json`."""
    name, file = arguments.model, paths.onnx(arguments.model)
    found = make(
        name, config.classes, reads_of(name, config), (OnnxSession(file), file), paths.dataset,
        config.reference,
    )  # fmt: skip
    found.write(paths.reference(name))
    told = (f"{key} of {len(one.groups)}" for key, one in found.rows.items())
    print(f"reference: {name}: {', '.join(told)} videos")


if __name__ == "__main__":
    run(main, __doc__, ("--model", {"default": "protogcn", "help": "an exported recognizer"}))
