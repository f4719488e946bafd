"""Work on many videos: content-addressed cache, quarantine, progress.

An item's key is the sha256 of its input files, the stage's parameters, the hashes of the weights
it uses and a version constant of the code. A key that was computed before is a `hit` and is only
linked into place; everything else is computed in a worker process (`vigil.workers`), in a
temporary folder that is renamed when complete, so that a killed run leaves nothing half-written.
An item that fails is quarantined with its reason and the run goes on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from vigil.errors import InputError
from vigil.schema import write_json
from vigil.workers import run_jobs


@dataclass(frozen=True)
class Item:
    """One video's work.

    Attributes:
        id: video id; names the outputs.
        inputs: the files that the result depends on.
    """

    id: str
    inputs: tuple[Path, ...]


class Compute(Protocol):
    """Top-level function that a worker process runs for one item."""

    def __call__(self, item: Item, out: Path, /) -> None:
        """Write every file the stage promised into the folder `out`."""


@dataclass(frozen=True)
class Work:
    """What a stage does to each item.

    Attributes:
        stage: name, used for the cache folder and the report.
        compute: picklable callable; use `functools.partial` of a module-level function to bind
            configuration.
        outputs: file name inside the item's result → where it is put, with `{id}` for the item's
            id, e.g. `{"tracks.parquet": paths.tracks / "{id}.parquet"}`.
        key: everything besides the input files that changes the result: parameters, hashes of
            weights, a version constant of the code. JSON values only.
    """

    stage: str
    compute: Compute
    outputs: Mapping[str, Path]
    key: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """What happened to one item.

    Attributes:
        id: the item.
        status: `ok` or `quarantined`.
        cache: `hit` or `miss`.
        why: reason of the miss, or of the quarantine.
        seconds: time spent on it.
    """

    id: str
    status: Literal["ok", "quarantined"]
    cache: Literal["hit", "miss"]
    why: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """What a stage did to every item, in the items' order."""

    stage: str
    rows: tuple[Row, ...] = field(default=())

    @property
    def ok(self) -> int:
        """How many items have a result."""
        return sum(row.status == "ok" for row in self.rows)

    def summary(self) -> str:
        """Return one line: results, hits, computed and quarantined."""
        hits = sum(row.cache == "hit" for row in self.rows)
        bad = len(self.rows) - self.ok
        line = f"{self.stage}: {self.ok} of {len(self.rows)} videos, {hits} from the cache"
        return line + (f", {bad} quarantined" if bad else "")


def file_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes as hex.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error.strerror}") from error


def run_items(
    work: Work,
    items: Sequence[Item],
    *,
    cache: Path,
    report: Path,
    workers: int = 0,
    progress: TextIO | None = None,
) -> Report:
    """Bring every item's outputs into place, computing what the cache does not hold.

    Outputs of items that no longer exist, or are quarantined now, are removed from the output
    folders. The report is written to `report` as JSON.

    Args:
        work: what to do.
        items: on which videos.
        cache: root of the content-addressed cache.
        report: JSON file to write.
        workers: processes; 0 means one per core.
        progress: stream for progress lines; None means standard error.

    Raises:
        InputError: there were items and every one of them failed.
    """
    store = cache / work.stage
    keys = {item.id: _key(work, item) for item in items}
    reasons = _miss_reasons(store, items, keys)
    log = _Progress(work.stage, len(items), progress or sys.stderr)
    rows: dict[str, Row] = {}
    todo = []
    for item in items:
        if (store / keys[item.id].digest / "done").exists():
            rows[item.id] = log.add(Row(item.id, "ok", "hit", "", 0.0))
        else:
            todo.append(item)
    for item, error, seconds in _compute_all(work, todo, store, keys, workers):
        if error is None:
            row = Row(item.id, "ok", "miss", reasons[item.id], seconds)
        else:
            row = Row(item.id, "quarantined", "miss", error, seconds)
        rows[item.id] = log.add(row)
    result = Report(work.stage, tuple(rows[item.id] for item in items))
    _materialize(work, store, keys, result)
    _remember(store, keys, result)
    write_json(report, {"stage": work.stage, "rows": [asdict(row) for row in result.rows]})
    if items and not result.ok:
        raise InputError(
            f"{work.stage}: expected at least one usable video, got {len(items)} quarantined; "
            f"first: {result.rows[0].why}"
        )
    return result


@dataclass(frozen=True)
class _Key:
    digest: str
    parts: Mapping[str, str]


def _key(work: Work, item: Item) -> _Key:
    """Return the item's key and its parts, kept apart so that a miss can say what changed."""
    files = {f"input {path.name}": file_hash(path) for path in item.inputs}
    settings = {name: json.dumps(value, sort_keys=True) for name, value in work.key.items()}
    parts = {"item": item.id, **files, **settings}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return _Key(hashlib.sha256(text.encode()).hexdigest(), parts)


def _miss_reasons(store: Path, items: Sequence[Item], keys: Mapping[str, _Key]) -> dict[str, str]:
    before = _last_keys(store)
    reasons = {}
    for item in items:
        old, new = before.get(item.id), keys[item.id].parts
        if old is None:
            reasons[item.id] = "new"
        else:
            changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
            reasons[item.id] = f"changed: {', '.join(changed)}" if changed else "result was missing"
    return reasons


def _last_keys(store: Path) -> dict[str, dict[str, str]]:
    try:
        loaded: dict[str, dict[str, str]] = json.loads((store / "last.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded


def _remember(store: Path, keys: Mapping[str, _Key], result: Report) -> None:
    write_json(store / "last.json", {row.id: dict(keys[row.id].parts) for row in result.rows})


def _compute_all(
    work: Work,
    items: Sequence[Item],
    store: Path,
    keys: Mapping[str, _Key],
    workers: int,
) -> Iterator[tuple[Item, str | None, float]]:
    """Yield each item with its error (None: done) and seconds, as they finish."""
    if not items:
        return
    store.mkdir(parents=True, exist_ok=True)
    _remove_partials(store)
    jobs = [(item, keys[item.id].digest) for item in items]
    for outcome in run_jobs(functools.partial(_compute_one, work, store), jobs, workers):
        item, reason = outcome.job[0], outcome.error
        if outcome.died:
            reason = f"{item.id}: {reason}"
        if reason is not None and not reason.startswith(f"{work.stage}:"):
            reason = f"{work.stage}: {reason}"
        yield item, reason, outcome.seconds
    _remove_partials(store)


def _compute_one(work: Work, store: Path, job: tuple[Item, str]) -> None:
    """Compute one item into `store/<digest>`; runs in a worker."""
    item, digest = job
    partial = Path(tempfile.mkdtemp(prefix=".part-", dir=store))
    try:
        work.compute(item, partial)
        missing = [name for name in work.outputs if not (partial / name).is_file()]
        if missing:
            raise RuntimeError(f"expected the files {missing}, got none")
        (partial / "done").touch()
        final = store / digest
        if final.exists():
            shutil.rmtree(final)
        os.replace(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_partials(store: Path) -> None:
    for partial in store.glob(".part-*"):
        shutil.rmtree(partial, ignore_errors=True)


def _materialize(work: Work, store: Path, keys: Mapping[str, _Key], result: Report) -> None:
    """Link every result into place and remove what no item stands for any more."""
    good = [row.id for row in result.rows if row.status == "ok"]
    for name, pattern in work.outputs.items():
        wanted = {pattern.name.replace("{id}", item_id): item_id for item_id in good}
        pattern.parent.mkdir(parents=True, exist_ok=True)
        for path in pattern.parent.iterdir():
            if path.suffix == pattern.suffix and path.name not in wanted:
                path.unlink()
        for file_name, item_id in wanted.items():
            _link(store / keys[item_id].digest / name, pattern.parent / file_name)


def _link(source: Path, target: Path) -> None:
    """Put `source` at `target`, as a hard link where the file system has them.

    Renaming one hard link of a file over another does nothing, hence the early return.
    """
    if target.exists() and target.samefile(source):
        return
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    os.replace(partial, target)


class _Progress:
    """One line per finished item: how many, which, and an ETA from what was really computed."""

    def __init__(self, stage: str, total: int, stream: TextIO) -> None:
        self._stage = stage
        self._total = total
        self._stream = stream
        self._done = 0
        self._computed = 0
        self._began = time.monotonic()

    def add(self, row: Row) -> Row:
        """Report `row`; return it."""
        self._done += 1
        self._computed += row.cache == "miss"
        if row.cache == "miss" or self._done == self._total:
            left = self._total - self._done
            per_item = (time.monotonic() - self._began) / max(self._computed, 1)
            state = "quarantined: " + row.why if row.status != "ok" else row.cache
            eta = f", about {left * per_item:.0f} s left" if left and self._computed else ""
            line = f"{self._stage}: {self._done}/{self._total} {row.id}: {state}{eta}"
            self._stream.write(line + "\n")
            self._stream.flush()
        return row
