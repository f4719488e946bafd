"""What the routes and the pages of one running server share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import anyio

from labeling_ui.auth import Doorkeeper
from labeling_ui.suggesting import Suggester
from vigil.config import Config
from vigil.labels.store import LabelStore
from vigil.paths import Paths

_P = ParamSpec("_P")
_T = TypeVar("_T")
_THREADS = 8  # that may be at the store at once; SQLite writes one after the other anyway


@dataclass(frozen=True)
class Service:
    """One project being labeled.

    Attributes:
        config: its parameters.
        paths: its places.
        store: its votes.
        doorkeeper: who may come in.
        suggester: what systems suggest.
    """

    config: Config
    paths: Paths
    store: LabelStore
    doorkeeper: Doorkeeper
    suggester: Suggester
    _limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_THREADS))

    @property
    def shows_suggestions(self) -> bool:
        """Whether annotators see what is suggested."""
        return bool(self.store.setting("show_suggestions"))

    def setting(self, name: str) -> Any:
        """Return a field of `labeling`: as an admin set it, else as the parameters do."""
        return self.store.setting(name)

    async def call(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run what may wait for a disk in a thread, so that the event loop stays free."""
        return await anyio.to_thread.run_sync(
            lambda: function(*args, **kwargs), limiter=self._limiter
        )


_lock = threading.Lock()
_running: list[Service] = []


def install(service: Service) -> None:
    """Make a service the one of this process, for the pages that Streamlit runs in threads."""
    with _lock:
        _running[:] = [service]


def running() -> Service:
    """Return the service of this process.

    Raises:
        RuntimeError: the page was not started by `make label`.
    """
    if not _running:
        raise RuntimeError("expected a server started by `make label`, got a page on its own")
    return _running[0]
