"""Publish the whole way from pixels to behavior as one served model."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.paths import Paths
from vigil.serving.behaviour.publish import publish_behaviour


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Write `triton_repo/<name>`."""
    spec = publish_behaviour(arguments.name, config, paths)
    networks = [one.model for one in (spec.find, spec.pose, spec.clip) if one]
    print(f"behaviour: {arguments.name}: {', '.join([*networks, *spec.names])} behind one call")


if __name__ == "__main__":
    run(main, __doc__, ("--name", {"default": "behaviour", "help": "an entry of behaviours"}))
