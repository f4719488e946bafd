"""How tables lie in Parquet: typed columns, and what they are in the file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vigil.errors import InputError
from vigil.files import atomic

VERSION = "1"
UNITS = "pixels of the original frame, xyxy; frames 0-based; seconds from the first frame"


def column(kind: pa.DataType) -> Any:
    """Declare a column of a `Table` by its Arrow type."""
    return field(metadata={"arrow": kind})


def note() -> Any:
    """Declare a field of a `Table` that is kept in the file's metadata instead of in a column."""
    return field(metadata={"note": True})


def rows(kind: pa.DataType) -> pa.DataType:
    """Return the type of fixed-size lists whose length the array says, one for the whole file."""
    return pa.list_(kind)


def vector(length: int) -> pa.DataType:
    """Return the Arrow type of a float32 vector per row."""
    return pa.list_(pa.float32(), length)


@dataclass(frozen=True, eq=False)
class Table:
    """Base of the per-video formats: parallel columns, validated when made.

    Attributes:
        video_id: the video that the rows belong to.
        width: frame width in pixels, as shown (rotation applied).
        height: frame height in pixels.
    """

    kind: ClassVar[str]
    video_id: str
    width: int
    height: int

    def __post_init__(self) -> None:
        lengths = {f.name: len(getattr(self, f.name)) for f in self._columns()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"{self.kind}: {self.video_id}: expected equal columns, got {lengths}")

    def __len__(self) -> int:
        return len(getattr(self, self._columns()[0].name))

    @classmethod
    def _columns(cls) -> list[Any]:
        return [f for f in fields(cls) if "arrow" in f.metadata]

    @classmethod
    def _notes(cls) -> list[Any]:
        return [f for f in fields(cls) if "note" in f.metadata]

    def write(self, path: Path) -> None:
        """Write the table as Parquet (zstd) to `path`, atomically."""
        arrays = {f.name: _to_arrow(getattr(self, f.name), f.metadata["arrow"])
                  for f in self._columns()}  # fmt: skip
        info = {"kind": self.kind, "version": VERSION, "units": UNITS, "video_id": self.video_id,
                "width": str(self.width), "height": str(self.height),
                **{f.name: json.dumps(getattr(self, f.name), ensure_ascii=False)
                   for f in self._notes()}}  # fmt: skip
        table = pa.table(arrays).replace_schema_metadata(info)
        with atomic(path) as partial:
            pq.write_table(table, partial, compression="zstd")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table that `write` wrote.

        Raises:
            InputError: not such a file, or of another kind or version.
        """
        table, info = read_parquet(path, cls.kind)
        columns = {f.name: _from_arrow(_get(table, f.name, path), f.metadata["arrow"])
                   for f in cls._columns()}  # fmt: skip
        notes = {f.name: _note_value(info, f.name, path) for f in cls._notes()}
        return cls(info["video_id"], int(info["width"]), int(info["height"]), **notes, **columns)


def _to_arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_list(kind) and not pa.types.is_fixed_size_list(kind):
        return pa.array(values, type=kind)
    array = np.ascontiguousarray(values, dtype=_float_dtype(kind))
    length = array.shape[1] if pa.types.is_list(kind) else kind.list_size
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), length)


def _float_dtype(kind: pa.DataType) -> np.dtype[Any]:
    """Return NumPy's type of the floating-point elements of a list type."""
    return np.dtype(f"f{kind.value_type.bit_width // 8}")


def _from_arrow(column: pa.ChunkedArray, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.array(flat, dtype=_float_dtype(kind)).reshape(len(column), column.type.list_size)
    if pa.types.is_primitive(kind):
        return np.array(column.to_numpy())
    return column.to_pylist()


def _note_value(info: Mapping[str, str], name: str, path: Path) -> Any:
    """Return a field's value from the metadata, sequences as tuples."""
    if name not in info:
        raise InputError(f"{path.name}: expected {name!r} in the metadata, got {sorted(info)}")
    value = json.loads(info[name])
    return tuple(value) if isinstance(value, list) else value


def _get(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise InputError(f"{path.name}: expected a column {name!r}, got {table.column_names}")
    return table[name]


def read_parquet(path: Path, kind: str) -> tuple[pa.Table, dict[str, str]]:
    """Read a Parquet file of ours and the metadata it carries.

    Raises:
        InputError: not such a file, or of another kind or version.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: expected a {kind} Parquet file, got {error}") from error
    raw = table.schema.metadata or {}
    info = {key.decode(): value.decode() for key, value in raw.items() if not key.startswith(b"A")}
    found = (info.get("kind"), info.get("version"))
    if found != (kind, VERSION):
        raise InputError(f"{path}: expected {kind} version {VERSION}, got {found[0]} {found[1]}")
    return table, info
