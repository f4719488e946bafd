"""A trial in one project: held on the front's traffic, reported, and followed by its decision."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from vigil.config import Config
from vigil.errors import InputError, VigilError
from vigil.files import write_json, write_text
from vigil.paths import Paths
from vigil.release.live import LiveModel
from vigil.release.project import PAGE
from vigil.release.publish import promote
from vigil.release.referee import Mode
from vigil.release.trial import FrontDoor, Status, clear, hold_trial
from vigil.release.trial_page import page
from vigil.serving.control import Control

REPORT = "report.json"
_EVERY = 10  # of the front's lines is shown


def try_out(
    config: Config,
    paths: Paths,
    live: LiveModel,
    version: int | None,
    servers: Sequence[Control],
    door: FrontDoor,
    shadow: bool,
    say: Callable[[str], None],
) -> None:
    """Hold a trial of a version, write its report, and promote the version where the rule does.

    Args:
        config: the parameters.
        paths: the project.
        live: the model.
        version: which one; None takes the newest of those above the one that serves.
        servers: those that serve the live repository.
        door: the front.
        shadow: the candidate answers nobody.
        say: receives lines for a person.

    Raises:
        VigilError: it was withdrawn, and why; the one that served still does.
        InputError, ModelError, ServerError: see `vigil.release.trial.hold_trial`.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the candidate goes
    number = _chosen(live, version)
    mode: Mode = "shadow" if shadow else "canary"
    say(f"canary: {live.name}: version {number} beside {live.current}, {mode}, {door.url}")
    found = hold_trial(live, number, servers, door, mode, config.canary, _progress(say))
    folder = report_folder(paths, live.name)
    write_json(folder / REPORT, found)
    write_text(folder / PAGE, page(found))
    say(f"canary: {folder / PAGE}")
    if found["state"] != "promoted":
        raise VigilError(f"canary: {live.name}: version {number} withdrawn: {found['reason']}")
    promote(live, number, servers, config.release.keep)
    say(f"canary: {live.name}: version {number} serves")


def before(action: str, live: LiveModel, servers: Sequence[Control]) -> list[str]:
    """Do what comes before an action of `vigil-serve`; return what to say of it.

    The repository is made ready where something is written to it or served from it, and what a
    trial that was cut off left behind is taken away.
    """
    writes = action in {"publish", "canary", "rollback"}
    said = live.storage.prepare() if writes or action == "serve" else []
    if writes and clear(live, servers):
        said.append(f"{live.name}: unloaded the candidate of a trial that was cut off")
    return said


def report_folder(paths: Paths, name: str) -> Path:
    """Return the folder of the report on a model's last trial."""
    return paths.reports / "canary" / name


def _chosen(live: LiveModel, version: int | None) -> int:
    current = live.current
    if current is None:
        raise InputError(f"canary: {live.name}: expected a version that serves, got none")
    if version is not None:
        return version
    waiting = [number for number in live.numbers() if number > current]
    if not waiting:
        raise InputError(
            f"canary: {live.name}: expected a version above {current}; "
            f"`vigil-serve publish --hold` brings one"
        )
    return waiting[-1]


def _progress(say: Callable[[str], None]) -> Callable[[Status], None]:
    """Return what shows every so many lines, and the last."""
    seen = 0

    def show(status: Status) -> None:
        nonlocal seen
        if seen % _EVERY == 0 or status["state"] != "running":
            say(f"canary: {status['state']}: {status['reason']}")
        seen += 1

    return show
