"""The live repository: serve it, judge a candidate, publish it, take it back, list what there is.

Installed as `vigil-serve`. A publish needs the gate's verdict on this very candidate (`verify`).
"""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import VigilError
from vigil.paths import Paths
from vigil.release.live import models
from vigil.release.project import live_model, publish, report, verify
from vigil.release.publish import rollback
from vigil.serving.control import Control, admin_key
from vigil.serving.service import serve

ACTIONS = ("serve", "verify", "publish", "rollback", "list")


def main(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Do what the first argument says."""
    name, live = arguments.model, live_model(config, paths, arguments.model)
    urls = arguments.url or [f"127.0.0.1:{config.serve.http_port}"]
    key = admin_key(arguments.key)
    servers = [Control(url, config.release.timeout_s, key) for url in urls if not arguments.offline]
    if arguments.action == "serve":
        live.repository.mkdir(parents=True, exist_ok=True)
        say = partial(print, flush=True)
        serve(live.repository, models(live.repository), config.serve, config.watch, say)
    elif arguments.action == "verify":
        verdict = verify(config, paths, name)
        if not verdict["ship"]:
            raise VigilError(f"verify: {name}: do not ship: {'; '.join(verdict['why'])}")
        print(f"verify: {name}: ship; {report(paths, name) / 'index.html'}")
    elif arguments.action == "publish":
        print(f"publish: {name}: version {publish(config, paths, name, servers)} serves")
    elif arguments.action == "rollback":
        print(f"rollback: {name}: version {rollback(live, servers, arguments.to)} serves")
    else:
        show(config, paths)


def show(config: Config, paths: Paths) -> None:
    """Print every version of every published model and where it comes from."""
    for name in models(paths.root / config.release.repository):
        live = live_model(config, paths, name)
        for number in live.numbers():
            told = live.lineage(number)
            commit = (told["git"] or {}).get("commit", "no commit")[:12]
            traced = f"{len(told['data'])} sources" if told["traced"] else "not traced by dvc.lock"
            mark = "serves" if number == live.current else ""
            print(f"{name:16s}{number:4d}  {told['published_at']}  {commit}  {traced}  {mark}")


def cli() -> None:
    """Run as `vigil-serve`."""
    run(
        main,
        __doc__,
        ("action", {"choices": ACTIONS}),
        ("--model", {"default": "protogcn", "help": "recognizer, ensemble or fusion"}),
        ("--url", {"action": "append", "help": "host:port of a server's HTTP endpoint; repeat"}),
        ("--offline", {"action": "store_true", "help": "write only: no server runs"}),
        ("--key", {"help": "file with the admin key of a restricted server"}),
        ("--to", {"type": int, "help": "version to go back to"}),
    )


if __name__ == "__main__":
    cli()
