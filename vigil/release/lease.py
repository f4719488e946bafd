"""A lock where there is none: a mark that its holder renews, and others may take once it rests.

An object store has no lock that a killed program lets go of. No clock is compared: who wants a
mark that is there watches it for longer than its holder would ever leave it alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from vigil.errors import Conflict, InputError, VigilError

_RENEW_S = 1.0
_LOST_S = 6.0  # without a renewal: from then on its holder has lost it, whatever the store says
_REST_S = 10.0  # unchanged for so long: its holder is gone


@dataclass(frozen=True)
class Mark:
    """One small object of a store; its tag tells each content from every other.

    Attributes:
        read: returns its tag, None where there is no such object.
        write: replaces what has a tag and returns the new one; Conflict where it has another.
        remove: removes the object.
    """

    read: Callable[[], str | None]
    write: Callable[[str | None], str | None]
    remove: Callable[[], None]


@contextmanager
def leased(mark: Mark, place: str, work: str) -> Iterator[Callable[[], bool]]:
    """Hold a mark while the block runs.

    Args:
        mark: the mark.
        place: where it lies, for the message.
        work: what is done under it, for the message.

    Yields:
        What tells whether it is still held.

    Raises:
        InputError: another program holds it.
        VigilError: the store does not answer.
    """
    try:
        lease = _Lease(mark, _free(mark))
    except Conflict as error:
        raise InputError(f"{place}: another {work} is under way") from error
    keeper = threading.Thread(target=lease.keep, daemon=True)
    keeper.start()
    try:
        yield lease.held
    finally:
        lease.over.set()
        keeper.join(_LOST_S)
        if lease.held():
            with suppress(VigilError):  # else it rests, and the next one takes it
                mark.remove()


class _Lease:
    """A mark in the hands of its holder."""

    def __init__(self, mark: Mark, seen: str | None) -> None:
        """Take it from what has the tag `seen`."""
        self._mark, self._renewed = mark, time.monotonic()
        self._tag = mark.write(seen)
        self.over = threading.Event()

    def held(self) -> bool:
        return time.monotonic() - self._renewed < _LOST_S

    def keep(self) -> None:
        """Renew it again and again, until it is over or another has it."""
        while not self.over.wait(_RENEW_S) and self.held():
            began = time.monotonic()
            try:
                self._tag = self._mark.write(self._tag)
                self._renewed = began  # others count from the moment in which it changed
            except Conflict:
                self._renewed -= _LOST_S
            except VigilError:
                continue


def _free(mark: Mark) -> str | None:
    """Return the tag of what may be replaced; Conflict where somebody renews it."""
    seen, until = mark.read(), time.monotonic() + _REST_S
    while seen is not None and time.monotonic() < until:
        time.sleep(_RENEW_S / 2)
        found = mark.read()
        if found not in {seen, None}:
            raise Conflict("it is renewed")
        seen = found
    return seen
