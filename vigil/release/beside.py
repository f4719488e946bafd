"""A candidate served beside the model that serves, under a name of its own, during a trial."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vigil.errors import VigilError
from vigil.release.candidate import Candidate
from vigil.release.durable import copy, replace_text
from vigil.serving.control import Control
from vigil.serving.repository import LABELS, read_config, render_config

_SUFFIX = "_canary"


def trial_name(model: str) -> str:
    """Return the name under which a candidate of `model` is served."""
    return f"{model}{_SUFFIX}"


@contextmanager
def beside(
    repository: Path, candidate: Candidate, servers: Sequence[Control], number: int = 1
) -> Iterator[str]:
    """Serve a candidate under a name of its own while the block runs.

    Args:
        repository: the live repository.
        candidate: the candidate.
        servers: those that serve it.
        number: the version that the candidate says it is when it answers.

    Yields:
        The name: the model's with `_canary` behind it.

    Raises:
        ModelError, ServerError: a server does not load it, or does not answer.
    """
    name = trial_name(candidate.name)
    folder = repository / name
    shutil.rmtree(folder, ignore_errors=True)  # of a trial that was killed
    (folder / str(number)).mkdir(parents=True)
    try:
        copy(candidate.files["model.onnx"], folder / str(number) / "model.onnx")
        copy(candidate.files[LABELS], folder / LABELS)
        config = read_config(candidate.files["config.pbtxt"].parent)
        config.name = name
        config.version_policy.Clear()
        replace_text(folder / "config.pbtxt", render_config(config))
        for server in servers:
            server.load(name)
        yield name
    finally:
        for server in servers:
            with suppress(VigilError):  # a server that is gone serves no candidate either
                server.unload(name)
        shutil.rmtree(folder, ignore_errors=True)


def sweep(repository: Path, model: str, servers: Sequence[Control]) -> bool:
    """Take away the candidate that a trial which was killed left behind.

    Nobody may hold a trial of the model meanwhile.

    Returns:
        Whether there was one.

    Raises:
        ServerError: a server does not answer.
    """
    name = trial_name(model)
    left = [server for server in servers if name in server.ready()]
    for server in left:
        server.unload(name)
    folder = repository / name
    found = bool(left) or folder.is_dir()
    shutil.rmtree(folder, ignore_errors=True)
    return found
