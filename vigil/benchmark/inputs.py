"""What a model is asked: rows from files, or random ones of the shape that it declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vigil.benchmark.requests import Feeds
from vigil.errors import InputError
from vigil.feeds import check_feeds
from vigil.session import Array, TensorSpec

MOST_ROWS = 256


def from_files(
    path: Path, model: str, inputs: Sequence[TensorSpec], batched: bool
) -> tuple[list[Feeds], list[Feeds]]:
    """Read inputs from an `.npz` file, or from every one of a folder in order of their names.

    A file holds one array per input of the model. Where Triton batches the model, axis 0 is rows
    and each is a request by itself; else a file is one request. Arrays of further names are what
    the model must answer, by output.

    Args:
        path: file or folder.
        model: its name, for messages.
        inputs: what it declares.
        batched: whether axis 0 is its batch axis.

    Returns:
        At most `MOST_ROWS` inputs, and as many right answers, or none.

    Raises:
        InputError: no such file, or arrays that the model does not take.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected .npz files, got none")
    rows: list[Feeds] = []
    golden: list[Feeds] = []
    names = {spec.name for spec in inputs}
    for file in files:
        arrays = _read(file)
        feeds = {name: array for name, array in arrays.items() if name in names}
        check_feeds(f"{file}: {model}", tuple(inputs), feeds)
        right = {name: array for name, array in arrays.items() if name not in names}
        count = len(next(iter(feeds.values()))) if batched else 1
        if batched and any(len(array) != count for array in arrays.values()):
            raise InputError(f"{file}: expected {count} rows in every array")
        for i in range(count):
            part = slice(i, i + 1) if batched else slice(None)
            rows.append({name: array[part] for name, array in feeds.items()})
            if right:
                golden.append({name: array[part] for name, array in right.items()})
    if golden and len(golden) != len(rows):
        raise InputError(f"{path}: expected right answers in every file or in none")
    return rows[:MOST_ROWS], golden[:MOST_ROWS]


def random_rows(
    model: str,
    inputs: Sequence[TensorSpec],
    count: int,
    seed: int,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> list[Feeds]:
    """Make inputs: floats in [0, 1), integers 0 or 1, all of batch size 1.

    Args:
        model: its name, for messages.
        inputs: what it declares.
        count: how many.
        seed: of the generator.
        shapes: whole shapes of inputs that leave more than the batch axis open.

    Raises:
        InputError: an open axis without a shape, or an input of text.
    """
    rng = np.random.default_rng(seed)
    rows: list[Feeds] = []
    for _ in range(count):
        row: dict[str, Array] = {}
        for spec in inputs:
            shape = (shapes or {}).get(spec.name) or _closed(model, spec)
            if spec.dtype == object:
                raise InputError(f"{model}: {spec}: expected --input FILE.npz for text or bytes")
            values = rng.random(shape) if spec.dtype.kind == "f" else rng.integers(0, 2, shape)
            row[spec.name] = values.astype(spec.dtype)
        check_feeds(model, tuple(inputs), row)
        rows.append(row)
    return rows


def joined(rows: Sequence[Feeds], batch: int) -> list[Feeds]:
    """Join rows to batches, each beginning one row after the last, going round."""
    if batch == 1:
        return list(rows)
    turns = [[rows[(i + k) % len(rows)] for k in range(batch)] for i in range(len(rows))]
    return [{n: np.concatenate([row[n] for row in turn]) for n in turn[0]} for turn in turns]


def _closed(model: str, spec: TensorSpec) -> tuple[int, ...]:
    if None in spec.shape[1:]:
        raise InputError(
            f"{model}: {spec}: expected --shape {spec.name}:SIZES (or --input FILE.npz) for "
            "axes of any size"
        )
    return tuple(1 if size is None else size for size in spec.shape)


def _read(file: Path) -> dict[str, Array]:
    """Return the arrays of a file; text becomes objects, as Triton's BYTES are."""
    try:
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, AttributeError, BadZipFile) as error:
        raise InputError(f"{file}: expected an .npz file of arrays, got: {error}") from error
    return {n: a.astype(object) if a.dtype.kind in "SU" else a for n, a in arrays.items()}
