"""A candidate served beside the model that serves, under a name of its own, during a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from vigil.errors import InputError, VigilError
from vigil.release.candidate import CONFIG, NETWORK, Candidate
from vigil.release.storage import Storage
from vigil.serving.control import Control
from vigil.serving.repository import LABELS, ModelConfig, read_config, render_config

_SUFFIX = "_canary"


def trial_name(model: str) -> str:
    """Return the name under which a candidate of `model` is served."""
    return f"{model}{_SUFFIX}"


def trial_config(candidate: Candidate) -> ModelConfig:
    """Return the configuration with which a candidate is served beside."""
    config = read_config(candidate.files[CONFIG].parent)
    config.name = trial_name(candidate.name)
    config.version_policy.Clear()
    return config


@contextmanager
def beside(
    storage: Storage, candidate: Candidate, servers: Sequence[Control], number: int = 1
) -> Iterator[str]:
    """Serve a candidate under a name of its own while the block runs.

    Args:
        storage: the live repository.
        candidate: the candidate.
        servers: those that serve it.
        number: the version that the candidate says it is when it answers.

    Yields:
        The name: the model's with `_canary` behind it.

    Raises:
        ModelError, ServerError: a server does not load it, or does not answer.
    """
    name = trial_name(candidate.name)
    storage.remove(name)  # of a trial that was killed
    try:
        storage.lay_out(
            name,
            {
                f"{number}/{NETWORK}": candidate.files[NETWORK],
                LABELS: candidate.files[LABELS],
                CONFIG: render_config(trial_config(candidate)),
            },
        )
        for server in servers:
            server.load(name)
        yield name
    finally:
        for server in servers:
            with suppress(VigilError):  # a server that is gone serves no candidate either
                server.unload(name)
        with suppress(VigilError):  # the next trial, publish or rollback removes it
            storage.remove(name)


def sweep(storage: Storage, model: str, servers: Sequence[Control]) -> bool:
    """Take away the candidate that a trial which was killed left behind.

    Nobody may hold a trial of the model meanwhile.

    Returns:
        Whether there was one.

    Raises:
        InputError: a model that was published has that name; it stays.
        ServerError: a server or the object store does not answer.
    """
    name = trial_name(model)
    if _is_published(storage, name):
        raise InputError(f"canary: {model}: expected {name} to be free, got a published model")
    left = [server for server in servers if name in server.ready()]
    for server in left:
        server.unload(name)
    return storage.remove(name) or bool(left)


def _is_published(storage: Storage, name: str) -> bool:
    """Tell a model of its own, whose pointer names a version, from a candidate on trial."""
    pointer = storage.fetch(name, CONFIG)
    return pointer.is_file() and bool(read_config(pointer.parent).version_policy.specific.versions)
