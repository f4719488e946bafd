"""Publish a version, or take it back, while requests keep flowing.

Steps of a publish: `written` (its files are there, safe), `complete` (it counts as a version),
`loaded` (the servers have replaced the old one by it, and it answered), `pointed` (it is the last
good version, also after a restart), `pruned`. A program that is killed between any two of them
leaves a repository that any Triton serves, from the version the pointer names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vigil.errors import InputError, ModelError, VigilError
from vigil.release.candidate import Candidate
from vigil.release.live import LiveModel
from vigil.serving.control import Control
from vigil.serving.probe import check_version
from vigil.serving.repository import ModelConfig

STEPS = ("written", "complete", "loaded", "pointed", "pruned")
OnStep = Callable[[str], None]


def publish(
    live: LiveModel,
    candidate: Candidate,
    verdict: Mapping[str, Any],
    lineage: dict[str, Any],
    servers: Sequence[Control],
    keep: int,
    on_step: OnStep = lambda _: None,
) -> int:
    """Bring a candidate that passed the gate into the live repository and into service.

    Args:
        live: the model's place in the live repository.
        candidate: what is published.
        verdict: what the gate said, see `vigil.release.gate`.
        lineage: where it comes from, see `vigil.release.lineage`.
        servers: those that serve the repository; none only writes it.
        keep: versions that stay on disk.
        on_step: called after each of `STEPS` with its name.

    Returns:
        The new version's number.

    Raises:
        InputError: it did not pass the gate, or another model or version was judged.
        ModelError: the disk is full, or a server does not load it; the last good one serves.
        ServerError: a server does not answer; the last good one serves.
    """
    with live.lock():
        number = _bring(live, candidate, verdict, lineage, on_step)
        try:
            switch(live, number, servers, on_step)
        except VigilError:
            with suppress(VigilError):
                if live.current != number:  # else it serves: only the look afterward failed
                    live.drop(number)
            raise
        prune(live, keep)
        on_step("pruned")
    return number


def hold(
    live: LiveModel,
    candidate: Candidate,
    verdict: Mapping[str, Any],
    lineage: dict[str, Any],
    keep: int,
    on_step: OnStep = lambda _: None,
) -> int:
    """Bring a candidate that passed the gate into the live repository, where it does not serve yet.

    Returns:
        The new version's number, to be tried on live traffic and promoted.

    Raises:
        InputError, ModelError: see `publish`.
    """
    with live.lock():
        if live.current is None:
            raise InputError(f"publish: {live.name}: expected a version that serves, got none")
        number = _bring(live, candidate, verdict, lineage, on_step)
        prune(live, keep)
        on_step("pruned")
    return number


def promote(
    live: LiveModel,
    number: int,
    servers: Sequence[Control],
    keep: int,
    on_step: OnStep = lambda _: None,
) -> None:
    """Bring a version that was held back into service.

    Raises:
        InputError: it was judged against another version than the one that serves.
        ModelError, ServerError: see `publish`; the last good one serves.
    """
    with live.lock():
        check_held(live, number)
        switch(live, number, servers, on_step)
        prune(live, keep)
        on_step("pruned")


def check_held(live: LiveModel, number: int) -> None:
    """Make sure that a version may replace the one that serves: as `check_verdict` for a candidate.

    Raises:
        InputError: the gate did not let it pass, or against another version.
        ModelError: there is no such version, or its files are not those that were judged.
    """
    if number == live.current:
        raise InputError(f"{live.name}: expected a version beside {number}, which serves")
    live.check(number)
    check_verdict(live, live.candidate(number), live.verdict(number))


def rollback(
    live: LiveModel,
    servers: Sequence[Control],
    to: int | None = None,
    on_step: OnStep = lambda _: None,
) -> int:
    """Bring an earlier version back into service.

    Args:
        live: the model's place in the live repository.
        servers: those that serve it.
        to: the version; None takes the one that served before this one.
        on_step: called after `loaded` and `pointed`.

    Returns:
        The version that serves now.

    Raises:
        InputError: there is nothing to go back to.
        ModelError: the version's files are not those that were judged, or a server does not load
            it; the one that served before still does.
        ServerError: a server does not answer; likewise.
    """
    with live.lock():
        current = live.current
        target = to
        if to is None and current is not None:
            target = live.before(current)
        if target is None or target == current:
            raise InputError(f"rollback: {live.name}: expected a version beside {current}")
        live.check(target)
        switch(live, target, servers, on_step)
    return target


def _bring(
    live: LiveModel,
    candidate: Candidate,
    verdict: Mapping[str, Any],
    lineage: dict[str, Any],
    on_step: OnStep,
) -> int:
    """Write a candidate into the repository under the next number; the lock is held."""
    check_verdict(live, candidate, verdict)
    number = live.free_number()
    live.clean()
    try:
        for step in live.stage(candidate, lineage, dict(verdict), number):
            on_step(step)
    except OSError as error:
        live.clean()
        reason = error.strerror or str(error)
        raise ModelError(f"publish: {live.place}: nothing is published: {reason}") from error
    return number


def switch(live: LiveModel, number: int, servers: Sequence[Control], on_step: OnStep) -> None:
    """Make the servers serve a version that lies in the repository, then move the pointer.

    Raises:
        ModelError, ServerError: a server does not load it, or it does not answer, or the disk is
            full; the servers that had taken it serve the last good version again, and the pointer
            has not moved. Or a server was lost after that: the pointer names the new version.
    """
    before, config = live.current, live.config_of(number)
    served = None if before is None else live.config_of(before)
    live.write_labels(number)
    for place, server in enumerate(servers):
        try:
            server.load(live.name, config)
            check_version(server.http_url, config, number, server.timeout_s)
        except VigilError as error:
            _restore(live, served, servers[: place + 1], error)
            raise
    on_step("loaded")
    try:
        live.point(number)
    except (OSError, VigilError) as error:
        stays = _stays(live, before, error)
        _restore(live, _winner(live, served), servers, stays)
        raise stays from error
    on_step("pointed")
    for server in servers:
        if number not in server.ready().get(live.name, []):  # repaired or restarted meanwhile
            server.load(live.name, config)


def prune(live: LiveModel, keep: int) -> list[int]:
    """Drop the oldest versions until `keep` are left.

    The one that serves and the one that `rollback` would take are never among them.
    """
    current, numbers = live.current, live.numbers()
    kept = {current, current and live.before(current), *numbers[-keep:]}
    dropped = [number for number in numbers if number not in kept]
    live.drop(*dropped)
    return dropped


def check_verdict(live: LiveModel, candidate: Candidate, verdict: Mapping[str, Any]) -> None:
    """Make sure that the gate let this very candidate pass, against what serves now.

    Raises:
        InputError: it did not.
    """
    if verdict.get("model") != live.name or candidate.name != live.name:
        raise InputError(f"publish: expected a verdict on {live.name}, got {verdict.get('model')}")
    if verdict.get("ship") is not True:
        reasons = "; ".join(verdict.get("why") or ["no verdict"])
        raise InputError(f"publish: {live.name}: did not pass the gate: {reasons}")
    if verdict.get("candidate", {}).get("sha256") != candidate.sha256:
        raise InputError(
            f"publish: {live.name}: expected the files that were judged, got others; run verify"
        )
    judged = (verdict.get("served") or {}).get("version")
    if judged != live.current:
        raise InputError(
            f"publish: {live.name}: was judged against version {judged}, but {live.current} "
            "serves; run verify"
        )


def _stays(live: LiveModel, before: int | None, error: OSError | VigilError) -> VigilError:
    """Say in one line that the pointer has not moved, and why."""
    if isinstance(error, OSError):
        return ModelError(f"{live.place}: version {before} stays: {error.strerror or error}")
    return error


def _winner(live: LiveModel, served: ModelConfig | None) -> ModelConfig | None:
    """Return the configuration of what the pointer names now; another may have moved it."""
    with suppress(VigilError):
        if (number := live.current) is not None:
            return live.config_of(number)
    return served


def _restore(
    live: LiveModel, served: ModelConfig | None, servers: Sequence[Control], cause: VigilError
) -> None:
    """Let servers serve what the pointer names after a version failed."""
    for server in servers:
        try:
            if served is None:
                server.unload(live.name)
            elif server.ready().get(live.name) != list(served.version_policy.specific.versions):
                server.load(live.name, served)
        except VigilError as error:
            cause.add_note(f"{server.http_url}: {error}")
