"""Load the served model for twenty minutes with good and bad requests and reloads.

Exit code 0: nothing was lost and the memory is flat; 1: not so. Not in dvc.yaml: it measures a
server, and no file of the pipeline.
"""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.errors import VigilError
from vigil.files import write_json
from vigil.paths import Paths
from vigil.release.soak import soak


def main(_: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `reports/soak.json` and print what was seen."""

    def show(seconds: float, mib: float) -> None:
        if int(seconds) % 60 == 0:
            print(f"soak: {seconds:5.0f} s  {mib:7.1f} MiB", flush=True)

    found = soak(
        paths.triton_repo, arguments.model, arguments.seconds, arguments.reload_s, on_sample=show
    )
    write_json(paths.reports / "soak.json", found.as_dict())
    print(f"soak: {found.answered} answered, {found.failed} failed, {found.refused} bad ones "
          f"refused, {found.reloads} reloads; memory {found.growth:+.1%}")  # fmt: skip
    if found.failed or not found.flat:
        raise VigilError(f"soak: expected no failure and flat memory; {found.first_failure}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "a model of the repository"}),
        ("--seconds", {"type": float, "default": 1200.0, "help": "how long"}),
        ("--reload-s", {"type": float, "default": 30.0, "help": "seconds between two reloads"}),
    )
