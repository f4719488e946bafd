"""Files that survive a power cut: written, flushed to the disk, and only then given their name."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vigil.errors import InputError
from vigil.files import atomic, flush


def copy(source: Path, target: Path) -> None:
    """Copy a file's content and flush it."""
    shutil.copyfile(source, target)
    flush(target)


def replace_text(path: Path, text: str) -> None:
    """Replace a file by UTF-8 `text`: at any moment the disk holds the old one or the new one."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
        flush(partial)
    flush(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON as `replace_text` does; NaN is refused."""
    replace_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def locked(path: Path, work: str = "publish or rollback") -> Iterator[None]:
    """Hold the lock file at `path`; the kernel lets go of it when its holder dies.

    Args:
        path: the file.
        work: what is done under it, for the message.

    Raises:
        InputError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"{path.parent}: another {work} is under way") from error
        yield
