"""Who is signed in: opaque tokens in cookies, only their hashes on disk.

A restart of the server signs nobody out. A file that is copied away signs nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from vigil.errors import InputError
from vigil.files import write_json

_LOG = logging.getLogger(__name__)


class Door(StrEnum):
    """How somebody came in."""

    LOCAL = "local"  # the only user of this computer, no password asked
    PASSWORD = "password"  # noqa: S105  the word, not one
    OIDC = "oidc"


@dataclass(frozen=True)
class Session:
    """One browser that is signed in.

    Attributes:
        name: of the user.
        door: how the user came in.
        started_at: seconds since 1970.
        stamp: of the user when they came in; with a new password or role it is another.
    """

    name: str
    door: Door
    started_at: float
    stamp: str = ""


class Sessions:
    """Sessions by token; safe to use from threads.

    Args:
        path: JSON file that keeps them over a restart.
        lifetime_s: seconds after which a session is over.
        clock: seconds since 1970.
        most: sessions at once; the oldest ends when one more begins.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        lifetime_s: float,
        clock: Callable[[], float] = time.time,
        most: int = 1000,
    ) -> None:
        self._path, self._lifetime_s, self._clock = path, lifetime_s, clock
        self._most = most
        self._lock = threading.Lock()
        self._found = _read(path)

    def start(self, name: str, door: Door, stamp: str = "") -> str:
        """Begin a session and return its token: 256 random bits, kept nowhere here."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._found[_hash(token)] = Session(name, door, self._clock(), stamp)
            self._save()
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, None when there is none or it is over."""
        session = self._found.get(_hash(token))
        return session if session is not None and self._lasts(session) else None

    def end(self, token: str) -> None:
        """End a session; one that is not there is no error."""
        with self._lock:
            if self._found.pop(_hash(token), None) is not None:
                self._save()

    def _lasts(self, session: Session) -> bool:
        return self._clock() < session.started_at + self._lifetime_s

    def _save(self) -> None:
        lasting = {key: one for key, one in self._found.items() if self._lasts(one)}
        self._found = dict(list(lasting.items())[-self._most :])
        write_json(self._path, {key: asdict(one) for key, one in self._found.items()})


def csrf(token: str) -> str:
    """Return what a page must send with every change: made from its session's token alone."""
    return hmac.digest(token.encode(), b"vigil csrf", "sha256").hex()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _read(path: Path) -> dict[str, Session]:
    """Return what is kept; nothing where the file is damaged or of another version."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(
            f"label: {path}: expected a readable file, got {error.strerror}"
        ) from error
    except ValueError as error:
        return _dropped(path, error)
    try:
        rows = json.loads(text)
        return {
            key: Session(
                str(row["name"]), Door(row["door"]), float(row["started_at"]), str(row["stamp"])
            )
            for key, row in rows.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return _dropped(path, error)


def _dropped(path: Path, error: Exception) -> dict[str, Session]:
    _LOG.warning("label: %s: expected sessions, got %r; everybody signs in again", path, error)
    return {}
