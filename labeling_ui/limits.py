"""How often somebody may try a password."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

_MOST = 10_000  # keys remembered at once


class Limiter:
    """Count attempts by key over a sliding window; safe to use from threads.

    Args:
        limit: attempts that are let through in a window.
        window_s: its length in seconds.
        clock: seconds that never run backwards.
    """

    def __init__(
        self, limit: int, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._window_s, self._clock = limit, window_s, clock
        self._lock = threading.Lock()
        self._tried: dict[Hashable, deque[float]] = {}

    def attempt(self, key: Hashable) -> float:
        """Note one attempt and return 0, or the seconds to wait where there were too many."""
        now = self._clock()
        with self._lock:
            tried = self._tried.pop(key, None) or deque()
            while tried and tried[0] <= now - self._window_s:
                tried.popleft()
            wait = tried[0] + self._window_s - now if len(tried) >= self._limit else 0.0
            if not wait:
                tried.append(now)
            self._tried[key] = tried
            while len(self._tried) > _MOST:
                del self._tried[next(iter(self._tried))]
        return wait

    def excuse(self, key: Hashable) -> None:
        """Take a key's newest attempt back: it was a good one."""
        with self._lock:
            if self._tried.get(key):
                self._tried[key].pop()
