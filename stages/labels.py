"""Labels by people: publish them, bring them in and out, pre-label, simulate, keep their store."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from vigil.command import Action, run_actions
from vigil.config import Config
from vigil.labels import commands
from vigil.labels.formats import FORMATS
from vigil.labels.suggested import merged
from vigil.paths import Paths
from vigil.prelabel import prelabel
from vigil.schema import read_clips, read_suggestions, write_suggestions
from vigil.serving.server import EmbeddedTriton

_FORMAT: tuple[str, dict[str, object]] = ("format", {"choices": sorted(FORMATS)})
_PATH: tuple[str, dict[str, object]] = ("path", {"help": "file; a folder for cvat"})


def _told(work: Callable[[Config, Paths, Namespace], str]) -> Callable[..., None]:
    def main(config: Config, paths: Paths, arguments: Namespace) -> None:
        print(work(config, paths, arguments))

    return main


def ask(config: Config, paths: Paths, arguments: Namespace) -> None:
    """Ask the served recognizers about every clip; what other systems suggested is kept."""
    clips, path = read_clips(paths.clips), paths.prelabels
    names = list(config.recognizers)
    if arguments.url:
        found = [prelabel(name, arguments.url, clips, config, paths) for name in names]
    else:
        timeout_s = config.serve.startup_timeout_s
        with EmbeddedTriton(paths.triton_repo, names, startup_timeout_s=timeout_s) as server:
            found = [prelabel(name, server.grpc_url, clips, config, paths) for name in names]
    new = [one for said in found for one in said]
    old = read_suggestions(path, config.classes) if path.is_file() else []
    write_suggestions(path, merged(old, new), config.classes)
    print(f"prelabel: {len(new)} suggestions by {', '.join(names)} in {path}")


ACTIONS = (
    Action("publish", "write labels.csv for the pipeline from the votes", _told(commands.publish)),
    Action("export", "write a file of another tool", _told(commands.export), (_FORMAT, _PATH)),
    Action("import", "add a file's judgments as votes; nothing is overwritten",
           _told(commands.bring), (_FORMAT, _PATH, ("--annotator", {
               "help": "who the votes are by; needed where the file does not say"}))),
    Action("prelabel", "let the served recognizers suggest labels for every clip", ask, (
        ("--url", {"help": "host:port of a running Triton's gRPC; else one is started"}),)),
    Action("simulate", "count the labels that each order of the queue needs",
           _told(commands.simulation), (
               ("--annotations", {"help": "annotation file; else the dataset's"}),)),
    Action("backup", "copy the store while people go on labeling", _told(commands.backup),
           (_PATH,)),
    Action("check", "check the store's integrity", _told(commands.check)),
    Action("user", "list, add, remove users, or set a password (read from standard input)",
           _told(commands.user), (
               ("what", {"choices": ["list", "add", "remove", "password"]}),
               ("name", {"nargs": "?"}),
               ("--role", {"choices": ["annotator", "reviewer", "admin"],
                           "default": "annotator"}))),
    Action("rename", "rename or merge classes; shows first what changes", _told(commands.rename), (
        ("pairs", {"nargs": "+", "metavar": "old=new"}),
        ("--yes", {"action": "store_true", "help": "do it"}))),
)  # fmt: skip

if __name__ == "__main__":
    run_actions(__doc__, ACTIONS)
