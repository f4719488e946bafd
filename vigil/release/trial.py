"""A trial as an operator holds it: a held version beside the served one, on the front's traffic.

The version is served under a name of its own and the front is told to split. This program only
listens: where it is killed, the connection breaks, the front withdraws the candidate at once, and
the next command unloads it.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vigil.config import CanarySection
from vigil.environment import describe
from vigil.errors import InputError, ModelError, ServerError, ServerUnavailable
from vigil.release.beside import beside, sweep, trial_config
from vigil.release.live import LiveModel
from vigil.release.publish import check_held
from vigil.release.referee import Mode
from vigil.serving.control import Control, refusal
from vigil.serving.kserve import OUTPUT, TRIAL_PATH
from vigil.serving.probe import check_version
from vigil.serving.repository import LABELS, read_config

_WARM_UP = 10  # inferences before callers' requests: the first ones of a process are slow
_LOOK_S = 0.5  # between two looks at which version serves
_SILENCE_S = 10.0  # the front says how it goes ten times a second
Status = dict[str, Any]


@dataclass(frozen=True)
class FrontDoor:
    """Where the front is: `host:port`, and the headers that open a trial there."""

    url: str
    headers: Mapping[str, str]

    def hold(
        self, model: str, candidate: str, mode: Mode, params: CanarySection
    ) -> Generator[Status, None, None]:
        """Open a trial and yield how it goes; it is withdrawn when the iterator is closed.

        Args:
            model: whose requests are sampled.
            candidate: the name under which the candidate is served.
            mode: whether it answers or gets copies.
            params: the rule.

        Yields:
            See `vigil.release.referee.Referee.status`; the last one is not `running`.

        Raises:
            ServerUnavailable: nobody answers, or the front ended.
            ServerError: the front refused, with its reason.
        """
        rule = params.model_dump(mode="json")
        body = {"model": model, "candidate": candidate, "mode": mode, "rule": rule}
        headers = {"Content-Type": "application/json", **self.headers}
        where, state = f"front {self.url}", "running"
        try:
            with closing(http.client.HTTPConnection(self.url, timeout=_SILENCE_S)) as connection:
                connection.request("POST", TRIAL_PATH, json.dumps(body), headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    raise refusal(where, answer.status, answer.read())
                for line in answer:
                    found: Status = json.loads(line)
                    state = found["state"]
                    yield found
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnavailable(f"{where}: {error}; `vigil-serve front` runs one") from error
        if state == "running":
            raise ServerUnavailable(f"{where}: ended in the middle of the trial")


def hold_trial(
    live: LiveModel,
    number: int,
    servers: Sequence[Control],
    door: FrontDoor,
    mode: Mode,
    params: CanarySection,
    on_status: Callable[[Status], None] = lambda _: None,
) -> dict[str, Any]:
    """Hold a trial of one version to its end.

    Args:
        live: the model.
        number: the version on trial.
        servers: those that serve the live repository, the one behind the front among them.
        door: the front.
        mode: `canary` or `shadow`.
        params: the rule.
        on_status: called again and again with how it goes.

    Returns:
        The report as plain values, see `report`.

    Raises:
        InputError: the version may not replace the one that serves, or another trial is under way.
        ModelError: a server does not load it, or it gives no classes.
        ServerError: a server or the front does not answer.
    """
    with live.storage.lock_trial(live.name) as held:
        sweep(live.storage, live.name, servers)
        check_held(live, number)
        _check_kind(live, number)
        served, candidate = live.current, live.candidate(number)
        began = datetime.now(UTC)
        with beside(live.storage, candidate, servers, number) as name:
            config = trial_config(candidate)
            for server in servers:
                for _ in range(_WARM_UP):
                    check_version(server.http_url, config, number, server.timeout_s)
            with closing(door.hold(live.name, name, mode, params)) as going:
                last = _watch(live, served, held, going, params, on_status)
    return report(live, number, served, mode, params, last, began)


def report(
    live: LiveModel,
    number: int,
    served: int | None,
    mode: Mode,
    params: CanarySection,
    last: Status,
    began: datetime,
) -> dict[str, Any]:
    """Sum up a trial: what was tried against what, by which rule, what was seen, what follows."""
    labels = (live.version(number) / LABELS).read_text(encoding="utf-8").splitlines()
    ended = datetime.now(UTC)
    return {
        "model": live.name, "version": number, "served": served, "mode": mode,
        "labels": labels, "rule": params.model_dump(mode="json"),
        "began_at": began.isoformat(timespec="seconds"),
        "ended_at": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - began).total_seconds(), 1),
        **last,
        "sha256": live.candidate(number).sha256,
        "environment": describe(),
    }  # fmt: skip


def _watch(
    live: LiveModel,
    served: int | None,
    held: Callable[[], bool],
    going: Iterable[Status],
    params: CanarySection,
    on_status: Callable[[Status], None],
) -> Status:
    """Follow a trial to its end; withdraw where it takes too long or another version serves."""
    looked = began = time.monotonic()
    for last in going:
        on_status(last)
        if last["state"] != "running":
            return last
        cause, now = "", time.monotonic()
        if not held():
            cause = "the live repository does not answer, or another trial took its place"
        elif now > looked + _LOOK_S:
            looked = now
            if (current := live.current) != served:
                cause = f"version {current} serves meanwhile"
        if now > began + params.longest_s:
            cause = cause or f"too few requests within {params.longest_s:g} s"
        if cause:
            return last | {"state": "withdrawn", "reason": f"{cause}: {last['reason']}"}
    raise ServerError(f"{live.name}: expected the front to tell of the trial, got nothing")


def clear(live: LiveModel, servers: Sequence[Control]) -> bool:
    """Take away what a trial that was killed left behind; nothing where one is under way.

    Returns:
        Whether there was something.
    """
    try:
        with live.storage.lock_trial(live.name):
            return sweep(live.storage, live.name, servers)
    except InputError:
        return False


def _check_kind(live: LiveModel, number: int) -> None:
    """Refuse what cannot be compared by class, or whose requests belong together."""
    config = read_config(live.version(number))
    if config.HasField("sequence_batching"):
        raise InputError(f"canary: {live.name}: expected requests that stand alone, got streams")
    if OUTPUT not in {tensor.name for tensor in config.output}:
        raise ModelError(f"canary: {live.name}: expected an output {OUTPUT!r} to compare, got none")
