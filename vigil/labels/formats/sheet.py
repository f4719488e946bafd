"""Our own CSV: every judgment with all it holds, to be opened in a spreadsheet and read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vigil.errors import InputError
from vigil.labels.formats.reading import identities, number, safe, table_of, unsafe, write_table
from vigil.labels.formats.records import Footage, Record
from vigil.labels.votes import Kind

_COLUMNS = ["clip_id", "label", "kind", "annotator", "reason", "start_s", "end_s", "track_ids",
            "labeled_at"]  # fmt: skip
_KINDS = {kind.value: kind for kind in Kind if kind is not Kind.RETRACT}


def write(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write records as CSV with a byte order mark, cells made safe; see `Format`."""
    rows = [
        [one.clip.clip_id, one.label or "", one.kind.value, one.annotator, one.reason,
         _second(one.start_s), _second(one.end_s), " ".join(map(str, one.track_ids)),
         one.labeled_at]
        for one in records
    ]  # fmt: skip
    write_table(path, [_COLUMNS, *([safe(cell) for cell in row] for row in rows)], bom=True)


def read(path: Path, footage: Footage) -> list[Record]:
    """Read what `write` wrote, or any CSV with `clip_id` and `label`; see `Format`."""
    found = []
    for where, row in table_of(path, ("clip_id", "label")):
        cells = {name: unsafe(cell) for name, cell in row.items()}
        label = footage.label(cells["label"], where) if cells["label"] else None
        kind = _kind(cells.get("kind") or Kind.LABEL, label, where)
        found.append(
            Record(
                footage.clip(cells["clip_id"], where), label, kind,
                cells.get("annotator", ""), cells.get("reason", ""),
                _optional(cells.get("start_s", ""), where),
                _optional(cells.get("end_s", ""), where),
                identities(cells.get("track_ids", ""), where), cells.get("labeled_at", ""),
            )
        )  # fmt: skip
    return found


def _kind(name: str, label: str | None, where: str) -> Kind:
    if name not in _KINDS:
        raise InputError(f"{where}: expected a kind of {list(_KINDS)}, got {name!r}")
    if _KINDS[name] is Kind.LABEL and label is None:
        raise InputError(f"{where}: expected a label, got none")
    return _KINDS[name]


def _second(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _optional(text: str, where: str) -> float | None:
    return number(text, where) if text else None
