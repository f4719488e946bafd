"""Who may label, review and administer: names, roles and hashed passwords."""

from __future__ import annotations

import os
import secrets
import threading
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from vigil.config import Role
from vigil.errors import Conflict, InputError, NotFound
from vigil.labels.audit import now
from vigil.labels.user_file import (
    MAX_NAME,
    ROLES,
    User,
    UserEntry,
    UserFile,
    locked,
    read_users,
    write_users,
)

LEAST_PASSWORD, MOST_PASSWORD = 8, 1024
Record = Callable[[str, str, Mapping[str, Any]], None]


class Users:
    """The users of a project; safe to share between threads and processes.

    Args:
        path: the file; it and its folder are made with the first user.
        record: is told of each change before it is made, as actor, action and detail: give it
            `LabelStore.record`, so that the audit log has it.
    """

    def __init__(self, path: Path, record: Record | None = None) -> None:
        self._path = path
        self._record = record
        self._hasher = PasswordHasher()
        self._hashing = threading.Lock()  # one at a time: each takes 64 MiB
        self._nobody = ""

    def exist(self) -> bool:
        """Say whether there is a file of users, readable or not."""
        return os.path.lexists(self._path)

    def list(self) -> list[User]:
        """Return everybody, sorted by name.

        Raises:
            InputError: the file is damaged, or others may read it.
        """
        return [
            entry.user() for entry in sorted(read_users(self._path).users, key=lambda one: one.name)
        ]

    def get(self, name: str) -> User | None:
        """Return who has this name, None where nobody has."""
        return next((user for user in self.list() if user.name == name), None)

    def verify(self, name: str, password: str) -> User | None:
        """Return the active user with this name and password, else None.

        It takes as long for a name that nobody has, so that names cannot be found by timing.
        """
        entry = next(
            (one for one in read_users(self._path).users if one.name == _normal(name)), None
        )
        known = self._matches(entry.password if entry else self._stand_in(), password)
        if entry is None or not known or not entry.active:
            return None
        if self._hasher.check_needs_rehash(entry.password):
            self._rehash(entry, password)
        return entry.user()

    def add(self, name: str, password: str, role: Role, actor: str = "") -> User:
        """Add somebody.

        Args:
            name: how their votes are signed.
            password: of 8 to 1024 characters.
            role: what they may do.
            actor: who adds them.

        Raises:
            InputError: no name, password or role that could be used.
            Conflict: somebody has that name, be it in other case.
        """
        name = _checked_name(name)
        entry = UserEntry(
            name=name,
            role=_checked_role(role),
            active=True,
            stamp=_stamp(),
            added_at=now(),
            password=self._hash(password),
        )
        with self._changing("add", actor, {"name": name, "role": role}) as entries:
            if any(other.casefold() == name.casefold() for other in entries):
                raise Conflict(f"user: expected a new name, got {name!r}, which somebody has")
            entries[name] = entry
        return entry.user()

    def set_password(self, name: str, password: str, actor: str = "") -> User:
        """Give somebody a new password, and end their sessions.

        Raises:
            NotFound: nobody has that name.
            InputError: a password that is too short or too long.
        """
        return self._change(name, "password", actor, password=self._hash(password))

    def set_role(self, name: str, role: Role, actor: str = "") -> User:
        """Give somebody another role.

        Raises:
            NotFound: nobody has that name.
            Conflict: they are the last active admin.
        """
        return self._change(name, "role", actor, role=_checked_role(role))

    def set_active(self, name: str, active: bool, actor: str = "") -> User:
        """Let somebody sign in or not; their votes stay.

        Raises:
            NotFound: nobody has that name.
            Conflict: they are the last active admin.
        """
        return self._change(name, "active", actor, active=active)

    def remove(self, name: str, actor: str = "") -> None:
        """Forget somebody; their votes stay, and so does their name in them.

        Raises:
            NotFound: nobody has that name.
            Conflict: they are the last active admin.
        """
        with self._changing("remove", actor, {"name": name}) as entries:
            if name not in entries:
                raise _nobody(name)
            del entries[name]

    def _change(self, name: str, what: str, actor: str, **values: Any) -> User:
        detail = {"name": name} | ({} if what == "password" else values)
        with self._changing(what, actor, detail) as entries:
            if name not in entries:
                raise _nobody(name)
            entries[name] = entries[name].model_copy(update={**values, "stamp": _stamp()})
            return entries[name].user()

    def _rehash(self, entry: UserEntry, password: str) -> None:
        """Follow stronger costs of argon2; sessions go on."""
        hashed = self._hash(password)
        with self._changing("rehash", entry.name, {"name": entry.name}) as entries:
            if entry.name in entries and entries[entry.name].password == entry.password:
                entries[entry.name] = entries[entry.name].model_copy(update={"password": hashed})

    @contextmanager
    def _changing(
        self, what: str, actor: str, detail: Mapping[str, Any]
    ) -> Iterator[dict[str, UserEntry]]:
        """Yield the entries by name to be changed; nobody else changes the file meanwhile."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._path):
            entries = {entry.name: entry for entry in read_users(self._path).users}
            had_admin = _has_admin(entries)
            yield entries
            if had_admin and not _has_admin(entries):
                raise Conflict("user: expected an active admin to remain, got none")
            if self._record is not None:
                self._record(actor or "vigil", f"user {what}", detail)
            write_users(self._path, UserFile(version=1, users=tuple(entries.values())))

    def _hash(self, password: str) -> str:
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise InputError(
                f"password: expected {LEAST_PASSWORD} to {MOST_PASSWORD} characters, "
                f"got {len(password)}"
            )
        with self._hashing:
            return self._hasher.hash(_normal(password))

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            with self._hashing:
                return self._hasher.verify(hashed, _normal(password)[:MOST_PASSWORD])
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    def _stand_in(self) -> str:
        """Return the hash of a password that nobody knows."""
        if not self._nobody:
            self._nobody = self._hash(secrets.token_urlsafe(32))
        return self._nobody


def _has_admin(entries: Mapping[str, UserEntry]) -> bool:
    return any(entry.role == "admin" and entry.active for entry in entries.values())


def _stamp() -> str:
    return secrets.token_hex(8)


def _normal(text: str) -> str:
    """Return one spelling of letters that keyboards compose in several, e.g. Hangul."""
    return unicodedata.normalize("NFC", text)


def _checked_name(name: str) -> str:
    name = _normal(name)
    bad = [letter for letter in name if unicodedata.category(letter)[0] == "C"]
    if not name or name != name.strip() or len(name) > MAX_NAME or bad:
        raise InputError(
            f"user: expected a name of 1 to {MAX_NAME} printable characters, got {name!r:.120}"
        )
    return name


def _checked_role(role: Role) -> Role:
    if role not in ROLES:
        raise InputError(f"user: expected a role of {', '.join(ROLES)}, got {role!r:.40}")
    return role


def _nobody(name: str) -> NotFound:
    return NotFound(f"user: expected the name of somebody, got {name!r:.120}")
