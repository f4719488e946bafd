"""Files written whole or not at all, and CSV read with its faults named."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vigil.errors import InputError


@contextmanager
def atomic(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that replaces it when the block ends without error.

    Args:
        path: the file to be; its folder is made.
        mode: who may read it then; until then its owner alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON to `path` atomically; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_csv(path: Path, required: Sequence[str], empty: bool = False) -> list[dict[str, str]]:
    """Read a UTF-8 CSV with a header into one mapping per row.

    Args:
        path: the file.
        required: columns that every row must fill.
        empty: take a file with a header and no row.

    Raises:
        InputError: unreadable, without rows, or without a required column or value.
    """
    header, rows = _guard(path, lambda: _table(path))
    if not rows and not (empty and header):
        raise InputError(f"{path}: expected a header and at least one row, got none")
    missing = [name for name in required if name not in header]
    if missing and not rows:
        raise InputError(f"{path}: expected the columns {list(required)}, got {list(header)}")
    for number, row in enumerate(rows, start=2):
        for name in required:
            if not row.get(name):
                raise InputError(f"{path}: line {number}: expected a value for {name!r}, got none")
    return rows


_Rows = tuple[Sequence[str], list[dict[str, str]]]


def _table(path: Path) -> _Rows:
    reader = csv.DictReader(path.read_text("utf-8-sig").splitlines())
    rows = list(reader)
    return reader.fieldnames or (), rows


def _guard(path: Path, read: Callable[[], _Rows]) -> _Rows:
    try:
        return read()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a readable UTF-8 CSV, got {error}") from error
