"""Many threads, few requests: rows that are asked about at the same time travel together."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Self

import numpy as np

from vigil.errors import (
    DeadlineExceeded,
    InputError,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
)
from vigil.feeds import Array
from vigil.serving.client.sync import Client

Answer = dict[str, Array]
_NOT_OF_ONE_ROW = (ServerUnavailable, ModelNotFound, DeadlineExceeded)
_Waiting = tuple[Mapping[str, Array], "Future[Answer]"]


class Batcher:
    """Joins single rows into requests; a context manager. Safe to call from several threads."""

    def __init__(self, client: Client, model: str, max_batch: int, max_delay_s: float) -> None:
        """Start the thread that asks.

        Args:
            client: whom it asks.
            model: the served model; its arrays all have a batch axis.
            max_batch: most rows of one request.
            max_delay_s: longest wait of a row for company, in seconds; 0 joins only what waits.
        """
        self._client, self._model = client, model
        self._max_batch, self._max_delay_s = max_batch, max_delay_s
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._closed, self._closing = False, threading.Lock()
        self._thread.start()

    def submit(self, row: Mapping[str, Array]) -> Future[Answer]:
        """Ask about one row.

        Args:
            row: arrays by input name, without the batch axis.

        Returns:
            A future of the outputs, without the batch axis; errors of that row alone.

        Raises:
            InputError: the batcher is closed, or what is given is no array.
        """
        for name, array in row.items():
            if not isinstance(array, np.ndarray | np.generic):
                raise InputError(f"{name}: expected an array, got {type(array).__name__}")
        future: Future[Answer] = Future()
        with self._closing:
            if self._closed:
                raise InputError(f"{self._model}: expected an open batcher, got a closed one")
            self._queue.put((row, future))
        return future

    def close(self) -> None:
        """Answer what waits and end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        going = True
        while going:
            first = self._queue.get()
            if first is None:
                return
            batch, going = self._gather(first)
            groups: dict[object, list[_Waiting]] = {}
            for row, future in batch:
                if not future.set_running_or_notify_cancel():
                    continue
                key = tuple(sorted((name, a.shape, a.dtype.str) for name, a in row.items()))
                groups.setdefault(key, []).append((row, future))
            for members in groups.values():
                self._ask(members)

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Wait for company; return the rows and whether more may come."""
        batch, until = [first], time.monotonic() + self._max_delay_s
        while len(batch) < self._max_batch:
            try:
                left = until - time.monotonic()
                found = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if found is None:
                return batch, False
            batch.append(found)
        return batch, True

    def _ask(self, members: list[_Waiting]) -> None:
        """Ask about rows that stack; where that fails and there are several, one by one."""
        try:
            feeds = {name: np.stack([row[name] for row, _ in members]) for name in members[0][0]}
            answer = self._client.infer(self._model, feeds)
            rows = [{name: a[i] for name, a in answer.items()} for i in range(len(members))]
        except Exception as error:  # a future must never wait for a thread that died
            refused = isinstance(error, ServerError) and not isinstance(error, _NOT_OF_ONE_ROW)
            if refused and len(members) > 1:
                for member in members:
                    self._ask([member])
            else:
                for _, future in members:
                    future.set_exception(error)
            return
        for (_, future), row in zip(members, rows, strict=True):
            future.set_result(row)
