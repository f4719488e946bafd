"""Files of others, read with care: limits, encodings, numbers, and cells made safe for sheets."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vigil.errors import InputError
from vigil.files import atomic

MAX_BYTES = 64 * 1024 * 1024
_RISKY = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # what a sheet may take for a formula
_MADE_SAFE = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")


def text_of(path: Path) -> str:
    """Read a file of UTF-8 text, with or without a byte order mark; line ends stay as they are.

    Raises:
        InputError: unreadable, too large, or not UTF-8.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: expected at most {MAX_BYTES} bytes, got {size}")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: expected UTF-8 text, got {error}") from error
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error.strerror}") from error


def rows_of(path: Path, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """Read a CSV without a header.

    Returns:
        The number of the line on which each row ends, and its cells; empty lines are left out.

    Raises:
        InputError: unreadable, or no CSV.
    """
    reader = csv.reader(io.StringIO(text_of(path), newline=""), delimiter=delimiter, strict=True)
    found = []
    try:
        for row in reader:
            if row:
                found.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: expected CSV, got {error}") from error
    return found


def table_of(path: Path, required: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """Read a CSV with a header, separated by commas, semicolons or tabs.

    Args:
        path: the file.
        required: columns that must be there.

    Returns:
        Where each row is, for errors, and its cells by column.

    Raises:
        InputError: unreadable, a column missing, or a row of another length than the header.
    """
    head = text_of(path).partition("\n")[0]
    (_, header), *rows = rows_of(path, max(",;\t", key=head.count)) or [(1, [])]
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(f"{path}: line 1: expected the columns {missing}, got {header}")
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"{path}: line {line}: expected {len(header)} cells, got {len(row)}")
    return [(f"{path}: line {line}", dict(zip(header, row, strict=True))) for line, row in rows]


def write_table(path: Path, rows: Iterable[Sequence[object]], bom: bool = False) -> None:
    """Write rows as CSV, atomically; with a byte order mark sheets take it for UTF-8."""
    encoding = "utf-8-sig" if bom else "utf-8"
    with atomic(path) as partial, partial.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, lineterminator="\r\n" if bom else "\n").writerows(rows)


def safe(cell: str) -> str:
    """Put an apostrophe before what a sheet would run as a formula; see `unsafe`."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def unsafe(cell: str) -> str:
    """Return what `safe` was given."""
    return cell[1:] if _MADE_SAFE.match(cell) else cell


def number(text: str, where: str) -> float:
    """Return a finite number.

    Raises:
        InputError: `text` is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: expected a number, got {text!r}")
    return value


def whole(text: str, where: str) -> int:
    """Return a whole number, which may be written as `3.0`.

    Raises:
        InputError: `text` is none.
    """
    value = number(text, where)
    if value != int(value):
        raise InputError(f"{where}: expected a whole number, got {text!r}")
    return int(value)


def identities(text: str, where: str) -> tuple[int, ...]:
    """Return track ids that are separated by spaces, ascending."""
    return tuple(sorted({whole(part, where) for part in text.split()}))
