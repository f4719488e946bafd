"""What systems make of clips before people do: shown as suggestions, and ranking the queue."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from labeling_ui.marks import mark
from vigil.config import Config, Order
from vigil.errors import InputError
from vigil.labels.store import LabelStore
from vigil.labels.suggested import Said, clip_vectors, queue_scores, read_all
from vigil.paths import Paths

_LOG = logging.getLogger(__name__)
_FRESH_S = 60.0  # a ranking may be so old: what is labeled meanwhile is not given out anyway


@dataclass(frozen=True)
class Suggested:
    """The likeliest label of a clip.

    Attributes:
        label: a class.
        probability: in [0, 1].
        system: who says so.
    """

    label: str
    probability: float
    system: str


class Suggester:
    """Suggestions by clip, read anew when their files change; safe to use from threads.

    Args:
        paths: of the project.
        config: its parameters.
    """

    def __init__(self, paths: Paths, config: Config) -> None:
        self._paths, self._config = paths, config
        self._lock = threading.Lock()
        self._marks: tuple[tuple[int, ...], ...] = ()
        self._said: Said = {}

    def said(self) -> Said:
        """Return what every system says of every clip; nothing where a file is damaged."""
        with self._lock:
            marks = tuple(mark(path) for path in (self._paths.suggestions, self._paths.prelabels))
            if marks != self._marks:
                self._said, self._marks = self._read(), marks
            return self._said

    def _read(self) -> Said:
        try:
            return read_all(self._paths, self._config.classes)
        except InputError as error:  # people can label without
            _LOG.error("label: no suggestions: %s", error)
            return {}

    def suggest(self, clip_id: str, system: str) -> Suggested | None:
        """Return a clip's likeliest label; None where the system says nothing of it."""
        probabilities = self.said().get(clip_id, {}).get(system)
        if probabilities is None:
            return None
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        return Suggested(self._config.classes[best], probabilities[best], system)


class Ranker:
    """Scores by which the queue gives out clips, made anew once a minute at most.

    Args:
        store: what is labeled already.
        suggester: what is said of the rest.
        paths: of the project.
        config: its parameters.
        clock: seconds that never run backwards.
    """

    def __init__(
        self,
        store: LabelStore,
        suggester: Suggester,
        paths: Paths,
        config: Config,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._suggester, self._clock = store, suggester, clock
        self._paths, self._config = paths, config
        self._lock = threading.Lock()
        self._made: dict[Order, tuple[float, dict[str, float]]] = {}

    def scores(self, order: Order) -> dict[str, float]:
        """Return a score by clip id, higher ones first; none where the order needs none."""
        if order == "chance":
            return {}
        with self._lock:
            at, found = self._made.get(order, (float("-inf"), {}))
            if self._clock() - at > _FRESH_S:
                found = self._rank(order)
                self._made[order] = (self._clock(), found)
            return found

    def _rank(self, order: Order) -> dict[str, float]:
        clips = [row.clip for row in self._store.clips() if not row.retired]
        labeled = {vote.clip_id for vote in self._store.votes(standing=True)}
        by_distance = self._config.labeling.active.spread in {"relevance", "k_center"}
        vectors = clip_vectors(clips, self._paths) if by_distance else None
        return queue_scores(order, self._suggester.said(), clips, labeled, self._config, vectors)
