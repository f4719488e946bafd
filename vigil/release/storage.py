"""Where a live repository lies: what publish and rollback need of a folder or an object store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from vigil.config.place import S3Place, is_s3
from vigil.errors import InputError
from vigil.files import flush
from vigil.release.durable import copy, locked, replace_text
from vigil.serving.repository import versions

POINTER = "config.pbtxt"
Content = Path | str  # a file, or text
_STAGING = ".staging-"


class Storage(Protocol):
    """The files of a live repository. Names are relative to a model: `3/model.onnx`."""

    url: str
    """What Triton takes as its repository."""

    def folder(self) -> Path:
        """Return the local folder; InputError where there is none."""

    def prepare(self) -> list[str]:
        """Make sure that the place is there; return what a person should know of it."""

    def models(self) -> list[str]:
        """Return the models that have a pointer, sorted."""

    def numbers(self, model: str) -> list[int]:
        """Return the complete versions of a model, oldest first."""

    def free_number(self, model: str) -> int:
        """Return a number above every version, also above what a publish left half done."""

    def fetch(self, model: str, name: str) -> Path:
        """Return where a file can be read now; nothing lies there where there is none."""

    def fetch_version(self, model: str, number: int) -> Path:
        """Return a folder with a version's files."""

    def lock(self, model: str) -> AbstractContextManager[None]:
        """Keep others from changing a model, or notice at `point` that one did."""

    def clean(self, model: str, serving: int | None) -> None:
        """Remove what a publish that was killed left half done, but never what serves."""

    def stage(self, model: str, number: int, files: Mapping[str, Content]) -> Iterator[str]:
        """Bring in a version's files; yield `written`, and `complete` once it is one."""

    def replace(self, model: str, name: str, text: str) -> None:
        """Replace a file: at any moment there is the old one or the new one."""

    def point(self, model: str, text: str) -> None:
        """Replace the pointer; Conflict where another moved it since `lock`."""

    def drop(self, model: str, numbers: list[int]) -> None:
        """Remove versions, so that none is ever seen half removed."""

    def lock_trial(self, model: str) -> AbstractContextManager[Callable[[], bool]]:
        """Keep others from holding a trial of a model; yields what tells whether that still holds.

        It ends with the program that holds it, also where that is killed.
        """

    def lay_out(self, model: str, files: Mapping[str, Content]) -> None:
        """Write the files of a model that nobody serves, in their order."""

    def remove(self, model: str) -> bool:
        """Remove all files of a model that nobody serves; return whether there were any."""


class LocalStorage:
    """A local folder: a version appears by one rename, the pointer moves by one rename."""

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is read or written yet."""
        self._root = root
        self.url = str(root)

    def folder(self) -> Path:
        """Return the folder."""
        return self._root

    def prepare(self) -> list[str]:
        """Make the folder."""
        self._root.mkdir(parents=True, exist_ok=True)
        return []

    def models(self) -> list[str]:
        """Return the models that have a pointer, sorted."""
        return sorted(path.parent.name for path in self._root.glob(f"*/{POINTER}"))

    def numbers(self, model: str) -> list[int]:
        """Return the versions on disk, oldest first."""
        folder = self._root / model
        return [int(path.name) for path in versions(folder)] if folder.is_dir() else []

    def free_number(self, model: str) -> int:
        """Return the next number."""
        return max(self.numbers(model), default=0) + 1

    def fetch(self, model: str, name: str) -> Path:
        """Return a file's own path."""
        return self._root / model / name

    def fetch_version(self, model: str, number: int) -> Path:
        """Return a version's own folder."""
        return self._root / model / str(number)

    def lock(self, model: str) -> AbstractContextManager[None]:
        """Hold the model's lock file; see `vigil.release.durable.locked`."""
        return locked(self._root / f".{model}.lock")

    def clean(self, model: str, serving: int | None) -> None:
        """Remove half copies, which never serve.

        A version that was renamed but never served may stay: it passed the gate, and counts as one.
        """
        folder = self._root / model
        for leftover in [*folder.glob(f"{_STAGING}*"), *folder.glob(".*.part")]:
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()

    def stage(self, model: str, number: int, files: Mapping[str, Content]) -> Iterator[str]:
        """Copy files beside, flush them, and give the folder its name."""
        folder = self._root / model
        partial = folder / f"{_STAGING}{number}"
        partial.mkdir(parents=True)
        for name, content in files.items():
            if isinstance(content, Path):
                copy(content, partial / name)
            else:
                replace_text(partial / name, content)
        flush(partial)
        yield "written"
        partial.rename(folder / str(number))
        flush(folder)
        yield "complete"

    def replace(self, model: str, name: str, text: str) -> None:
        """Replace a file by a rename."""
        replace_text(self._root / model / name, text)

    def point(self, model: str, text: str) -> None:
        """Replace the pointer by a rename."""
        self.replace(model, POINTER, text)

    def drop(self, model: str, numbers: list[int]) -> None:
        """Rename versions away, then remove them."""
        folder = self._root / model
        for number in numbers:
            partial = folder / f"{_STAGING}drop-{number}"
            (folder / str(number)).rename(partial)
            shutil.rmtree(partial)

    @contextmanager
    def lock_trial(self, model: str) -> Iterator[Callable[[], bool]]:
        """Hold a lock file, which the kernel lets go of; see `vigil.release.durable.locked`."""
        with locked(self._root / f".{model}_trial.lock", "trial"):
            yield lambda: True

    def lay_out(self, model: str, files: Mapping[str, Content]) -> None:
        """Copy the files."""
        for name, content in files.items():
            path = self._root / model / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                copy(content, path)
            else:
                replace_text(path, content)

    def remove(self, model: str) -> bool:
        """Remove the folder."""
        found = (self._root / model).is_dir()
        shutil.rmtree(self._root / model, ignore_errors=True)
        return found


def storage_at(place: str | Path) -> Storage:
    """Return the storage at a place: a folder, or an S3 address.

    Raises:
        InputError: an S3 address that is none, or its client is not installed.
    """
    if isinstance(place, Path) or not is_s3(place):
        return LocalStorage(Path(place))
    from vigil.release.s3 import S3Storage

    try:
        return S3Storage(S3Place.parse(place))
    except ValueError as error:
        raise InputError(f"release: repository: {error}") from error
