"""What a system makes of clips before people have seen them, read anew when the file changes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from vigil.config import Config
from vigil.schema import read_suggestions


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
    """Suggestions by clip; safe to use from threads.

    Args:
        path: CSV of all systems' suggestions; may be absent.
        config: which system is asked, and the classes.
    """

    def __init__(self, path: Path, config: Config) -> None:
        self._path, self._classes = path, config.classes
        self._system = config.labeling.suggestions
        self._lock = threading.Lock()
        self._stamp = (0, 0)
        self._found: dict[str, Suggested] = {}

    def all(self) -> dict[str, Suggested]:
        """Return every clip's suggestion; empty where there is none.

        Raises:
            InputError: the file is not what it should be.
        """
        with self._lock:
            stamp = self._now()
            if stamp != self._stamp:
                self._found, self._stamp = self._read() if stamp != (0, 0) else {}, stamp
            return self._found

    def _now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, Suggested]:
        found = {}
        for one in read_suggestions(self._path, self._classes):
            if one.system == self._system:
                likeliest = max(range(len(self._classes)), key=one.probabilities.__getitem__)
                found[one.clip_id] = Suggested(
                    self._classes[likeliest], one.probabilities[likeliest], one.system
                )
        return found
