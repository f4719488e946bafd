"""The file of users: JSON, its owner's alone, replaced whole.

A file that cannot be read is never taken for one without users.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from vigil.config import Role, Section, one_line
from vigil.errors import InputError, StoreError
from vigil.files import atomic, flush

ROLES: tuple[Role, ...] = ("annotator", "reviewer", "admin")  # each may what those before it may
MAX_NAME = 100


@dataclass(frozen=True)
class User:
    """Somebody who may sign in.

    Attributes:
        name: as votes bear it.
        role: what they may do.
        active: may sign in at all; deactivated people keep their votes.
        stamp: changes with password, role and activity: a session of another stamp is over.
        added_at: ISO 8601 time with zone.
    """

    name: str
    role: Role
    active: bool
    stamp: str
    added_at: str

    def may(self, role: Role) -> bool:
        """Say whether they are active and have this role or a higher one."""
        return self.active and ROLES.index(self.role) >= ROLES.index(role)


class UserEntry(Section):
    """A user as the file has them."""

    name: str = Field(min_length=1, max_length=MAX_NAME)
    role: Role
    active: bool
    stamp: str
    added_at: str
    password: str = Field(description="argon2id, with its salt and costs")

    def user(self) -> User:
        """Return them without the hash."""
        return User(**self.model_dump(exclude={"password"}))


class UserFile(Section):
    """The whole file."""

    version: int = Field(ge=1, le=1)
    users: tuple[UserEntry, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> UserFile:
        if len({entry.name.casefold() for entry in self.users}) != len(self.users):
            raise ValueError("users: expected distinct names")
        return self


def read_users(path: Path) -> UserFile:
    """Return what the file says; no file says that there is nobody.

    Raises:
        InputError: it is damaged, or others than its owner may read it.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return UserFile(version=1)
    except OSError as error:
        raise InputError(f"{path}: expected a file of users, got {error.strerror}") from error
    with os.fdopen(handle, encoding="utf-8") as file:
        mode = os.fstat(handle).st_mode & 0o777
        if mode & 0o077:
            raise InputError(f"{path}: expected a file of its owner alone (mode 600), got {mode:o}")
        try:
            return UserFile.model_validate_json(file.read())
        except (ValidationError, UnicodeDecodeError) as error:
            reason = one_line(error) if isinstance(error, ValidationError) else str(error)
            raise InputError(
                f"{path}: expected a file of users: {reason.split(', got ')[0]}"
            ) from error


def write_users(path: Path, content: UserFile) -> None:
    """Replace the file, for its owner alone, by one that is on disk.

    Raises:
        StoreError: it cannot be written; what was there stays.
    """
    try:
        with atomic(path, 0o600) as partial:
            partial.write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")
            flush(partial)
        flush(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: expected room for users, got {error.strerror}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let nobody else change the file, in no thread and no process, until the block ends."""
    handle = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
