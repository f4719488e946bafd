"""Request logs: a line of JSON per request, a file per model, written beside the requests.

What a line tells is worked out where the request is made, so no array waits in memory; a thread of
its own writes it. Nothing here fails or holds up a request: where the disk does not keep up, lines
are dropped and counted. Files are rotated by size, and so are bounded.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Self

from vigil.config import RequestLogSection
from vigil.errors import InputError
from vigil.feeds import Array
from vigil.watching import record
from vigil.watching.features import of_feeds
from vigil.watching.record import Note

_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")
_OTHERS = "_others"  # where requests for what is no name of a model are written
_MOST_FILES = 32
Waiting = dict[str, Any]


class Call:
    """One request on its way; give it the answer."""

    def __init__(self) -> None:
        """Begin without an answer."""
        self.seen: list[dict[str, Any]] = []
        self.version, self.rows = "", 0


class RequestLog:
    """The request logs of one process; a context manager. Safe to call from several threads.

    Attributes:
        dropped: lines lost: the queue was full, the disk refused, or nothing could be told.
    """

    def __init__(
        self,
        folder: Path,
        classes: Sequence[str],
        params: RequestLogSection,
        centroids: Mapping[str, Array] | None = None,
    ) -> None:
        """Take the folder and start the thread that writes.

        Args:
            folder: of this process alone.
            classes: names in label order.
            params: sizes.
            centroids: mean embedding of the training data by recognizer, see `Reference`.

        Raises:
            InputError: another process writes there, or nobody can.
        """
        self._folder, self._classes, self._params = folder, tuple(classes), params
        self._centroids = dict(centroids or {})
        self._lock: int | None = _claim(folder)
        self._queue: queue.Queue[Waiting | None] = queue.Queue(params.waiting)
        self._files: dict[str, _File] = {}
        self._counting = threading.Lock()
        self.dropped = 0
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def tell(self, call: Call, model: str, feeds: Mapping[str, Array], answer: Mapping[str, Array],
             note: Note) -> None:  # fmt: skip
        """Note what a recognizer was asked and said; nothing, where it gives no probabilities."""
        probabilities = answer.get("probabilities")
        if probabilities is None or probabilities.ndim != 2:
            return
        most = self._params.rows
        some = {name: values[:most] for name, values in feeds.items()}
        found = of_feeds(some, self._centroids.get(model))
        clips = tuple(note.clips)[:most]
        call.seen = record.seen(model, probabilities[:most], found, self._classes, clips)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in label order."""
        return self._classes

    @contextmanager
    def request(self, model: str, rows: int, note: Note) -> Iterator[Call]:
        """Time the request that the block makes and write its line; errors pass through.

        Args:
            model: the served model.
            rows: its batch.
            note: what the caller knows of it.

        Yields:
            The call, to be given what the answer tells.
        """
        call, began, outcome = Call(), time.perf_counter(), "ok"
        call.rows = rows
        try:
            yield call
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._put(call, model, time.perf_counter() - began, outcome, note)

    def quietly(self, work: Callable[[], None]) -> None:
        """Work out what a line tells; where that fails, count it and go on."""
        try:
            work()
        except Exception:  # an answer of any shape may come; the caller must get it all the same
            self._lost()

    def close(self) -> None:
        """Write what waits and give the folder back."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        for file in self._files.values():
            file.close()
        self._files = {}
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, call: Call, model: str, seconds: float, outcome: str, note: Note) -> None:
        told = {
            "at": round(time.time(), 3), "model": record.text(model),
            "version": record.text(call.version), "latency_ms": round(1000 * seconds, 3),
            "rows": call.rows, "outcome": outcome, "source": record.text(note.source),
            "seen": call.seen, "dropped": self.dropped,
        }  # fmt: skip
        try:
            self._queue.put_nowait(told)
        except queue.Full:
            self._lost()

    def _lost(self) -> None:
        with self._counting:
            self.dropped += 1

    def _write(self) -> None:
        while (told := self._queue.get()) is not None:
            try:
                self._file(told["model"]).write(record.line(told))
            except Exception:  # a full disk, or what no line can hold: the next one may be written
                self._lost()

    def _file(self, model: str) -> _File:
        known = _NAME.fullmatch(model) and (model in self._files or len(self._files) < _MOST_FILES)
        name = model if known else _OTHERS
        if name not in self._files:
            path = self._folder / f"{name}.jsonl"
            self._files[name] = _File(path, self._params.max_bytes, self._params.keep)
        return self._files[name]


class _File(RotatingFileHandler):
    """A file that is rotated by size; after a crash its half line is closed first."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        torn = path.is_file() and path.stat().st_size > 0 and not _ends_a_line(path)
        super().__init__(path, maxBytes=max_bytes, backupCount=keep, encoding="ascii")
        if torn and self.stream is not None:
            self.stream.write("\n")

    def write(self, text: str) -> None:
        """Write one line.

        Raises:
            OSError: the disk refuses.
        """
        self.emit(logging.LogRecord("", 0, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Let the error out, instead of printing it."""
        raise


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _claim(folder: Path) -> int:
    """Return a lock on a folder that ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise InputError(f"{folder}: expected a folder to write logs to, got {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise InputError(f"{folder}: expected a folder of this process, got another's") from error
    return lock
