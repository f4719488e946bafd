"""What the routes and the pages of one running server share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import anyio

from labeling_ui.auth import Doorkeeper
from labeling_ui.suggesting import Ranker, Suggester
from vigil.config import Config
from vigil.errors import NotFound
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
        ranker: what the queue goes by.
    """

    config: Config
    paths: Paths
    store: LabelStore
    doorkeeper: Doorkeeper
    suggester: Suggester
    ranker: Ranker
    _video_ids: dict[str, str] = field(default_factory=dict)
    _limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_THREADS))

    def video_id(self, key: str) -> str:
        """Return the video of an opaque key; keys never change hands, so they are remembered.

        Raises:
            NotFound: there is none.
        """
        if key not in self._video_ids:
            self._learn()
        if key not in self._video_ids:
            raise NotFound(f"video: expected the key of a video, got {key!r:.40}")
        return self._video_ids[key]

    def video_keys(self, video_ids: Collection[str]) -> dict[str, str]:
        """Return the opaque keys of videos by their ids."""
        known = {name: key for key, name in self._video_ids.copy().items()}
        if not known.keys() >= set(video_ids):
            self._learn()
            known = {name: key for key, name in self._video_ids.copy().items()}
        return {name: known[name] for name in video_ids if name in known}

    def _learn(self) -> None:
        found = {video.key: video.video_id for video in self.store.videos()}
        self._video_ids.update(found)

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
