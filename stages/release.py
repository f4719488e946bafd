"""The live repository: serve it, judge a candidate, publish it, try it on traffic, take it back.

Installed as `vigil-serve`. A publish needs the verdict of `verify` on this very candidate.
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import VigilError
from vigil.paths import Paths
from vigil.release.front import run_front
from vigil.release.live import models
from vigil.release.project import listing, live_model, publish, report, verify
from vigil.release.publish import rollback
from vigil.release.trial import FrontDoor
from vigil.release.trying import before, try_out
from vigil.serving.control import Control, admin_key
from vigil.serving.service import serve

ACTIONS = ("serve", "front", "verify", "publish", "canary", "rollback", "list")
say = partial(print, flush=True)


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Do what the first argument says."""
    action, name = arguments.action, arguments.name or arguments.model
    live, key = live_model(config, paths, name), admin_key(arguments.key)
    urls = arguments.url or [f"127.0.0.1:{config.serve.http_port}"]
    servers = [Control(url, config.release.timeout_s, key) for url in urls if not arguments.offline]
    for line in before(action, live, servers):
        say(f"{action}: {line}")
    if action == "serve":
        serve(live.storage.url, models(live.storage.url), config.serve, config.watch, say)
    elif action == "front":
        run_front(urls[0], arguments.grpc_url or "", config.serve, key, say)
    elif action == "verify":
        if not (verdict := verify(config, paths, name))["ship"]:
            raise VigilError(f"verify: {name}: do not ship: {'; '.join(verdict['why'])}")
        say(f"verify: {name}: ship; {report(paths, name) / 'index.html'}")
    elif action == "publish":
        number = publish(config, paths, name, servers, arguments.hold)
        say(f"publish: {name}: version {number} {'waits' if arguments.hold else 'serves'}")
    elif action == "canary":
        door = FrontDoor(arguments.front or f"127.0.0.1:{config.serve.front_port}", key)
        try_out(config, paths, live, arguments.version, servers, door, arguments.shadow, say)
    elif action == "rollback":
        say(f"rollback: {name}: version {rollback(live, servers, arguments.to)} serves")
    else:
        say("\n".join(listing(config, paths)))


def cli() -> None:
    """Run as `vigil-serve`."""
    run(
        main,
        __doc__,
        ("action", {"choices": ACTIONS}),
        ("name", {"nargs": "?", "help": "of the model, as --model"}),
        ("--model", {"default": "protogcn", "help": "any served model"}),
        ("--url", {"action": "append", "help": "host:port of a server's HTTP endpoint; repeat"}),
        (
            "--grpc-url",
            {"help": "front: the server's gRPC endpoint; else serve.grpc_port"},
        ),
        ("--offline", {"action": "store_true", "help": "write only: no server runs"}),
        ("--key", {"help": "file with the admin key of a restricted server"}),
        ("--to", {"type": int, "help": "version to go back to"}),
        ("--hold", {"action": "store_true", "help": "publish: write it, to be tried"}),
        ("--version", {"type": int, "help": "canary: the one to try; the newest that waits"}),
        ("--shadow", {"action": "store_true", "help": "canary: copies only, answer nobody"}),
        ("--front", {"help": "canary: host:port of the front"}),
    )


if __name__ == "__main__":
    cli()
