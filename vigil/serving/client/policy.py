"""How long a call may take, and when it is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from vigil.errors import DeadlineExceeded, ServerUnavailable


@dataclass(frozen=True)
class Retry:
    """Trying again after a connection broke or the server said that it is unavailable.

    Inference changes nothing on the server, so a request that may have been run is sent again
    without harm. What the server understood and refused is never sent again, and neither is a
    chunk of a stream, which the server may have taken already.

    Attributes:
        attempts: requests sent at most, the first included.
        first_s: longest pause before the second, in seconds; it doubles from then on.
        most_s: longest pause of all. Each pause is drawn evenly between 0 and its longest, so that
            clients that lost a server together do not come back together.
    """

    attempts: int = 3
    first_s: float = 0.05
    most_s: float = 1.0

    def pauses(self) -> Iterator[float]:
        """Yield the seconds to wait before each further attempt."""
        for number in range(self.attempts - 1):
            yield random.uniform(0, min(self.first_s * 2**number, self.most_s))  # noqa: S311


class Deadline:
    """A moment by which a call must have its answer, further attempts included."""

    def __init__(self, subject: str, seconds: float, pauses: Iterator[float]) -> None:
        """Set the moment `seconds` from now; `subject` is named when it passes.

        `pauses` are the seconds to wait before each further attempt, see `Retry.pauses`.
        """
        self._subject, self._seconds, self._pauses = subject, seconds, pauses
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineExceeded: none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded(f"{self._subject}: expected an answer in {self._seconds:g} s")
        return left

    def pause_s(self, error: Exception) -> float | None:
        """Return the pause to the next attempt after `error`; None where it is the last word.

        Another attempt must be safe, there must be one left, and time for it.
        """
        pause_s = next(self._pauses, None)
        if pause_s is None or not isinstance(error, ServerUnavailable):
            return None
        return pause_s if time.monotonic() + pause_s < self._end else None
