"""Tensors in shared memory: every input once, and a place for the answers of each caller."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from vigil.benchmark.requests import Feeds, Place
from vigil.errors import InputError, ServerError
from vigil.serving.control import Control
from vigil.session import Array, TensorSpec

_TIMEOUT_S = 10.0
_PATH = "/v2/systemsharedmemory/region"


@dataclass(frozen=True)
class Region:
    """A region that the server knows.

    Attributes:
        memory: the region itself.
        inputs: per input row, where its tensors lie.
        outputs: per caller, where its answers lie.
        specs: declared outputs, by name.
        batch: rows of a request.
    """

    memory: SharedMemory
    inputs: Sequence[Mapping[str, Place]]
    outputs: Sequence[Mapping[str, Place]]
    specs: Mapping[str, TensorSpec]
    batch: int

    def copy(self, lane: int) -> dict[str, bytes]:
        """Return a caller's answer as it lies there now."""
        places = self.outputs[lane].items()
        return {name: bytes(_view(self.memory, p)) for name, p in places}

    def read(self, copied: Mapping[str, bytes]) -> dict[str, Array]:
        """Return the arrays of what `copy` returned."""
        found = {}
        for name, data in copied.items():
            spec = self.specs[name]
            array = np.frombuffer(data, spec.dtype)
            found[name] = array.reshape([size or self.batch for size in spec.shape])
        return found


@contextmanager
def region(
    http_url: str, rows: Sequence[Feeds], outputs: Sequence[TensorSpec], batch: int, lanes: int
) -> Iterator[Region]:
    """Make a region, register it with the server at `http_url`, and take both back at the end.

    Outputs whose size is not known beforehand stay in the message.

    Args:
        http_url: `host:port` of the server, on this machine.
        rows: the inputs.
        outputs: declared outputs.
        batch: rows of a request.
        lanes: callers.

    Raises:
        InputError: an input is text or bytes of no fixed size.
        ServerError: the server refuses the region.
    """
    name, offset = f"vigil-bench-{uuid.uuid4().hex[:12]}", 0
    inputs: list[dict[str, Place]] = []
    for row in rows:
        inputs.append({})
        for key, array in row.items():
            if array.dtype == object:
                raise InputError(f"benchmark: {key}: text does not go through shared memory")
            inputs[-1][key] = Place(name, offset, array.nbytes)
            offset += array.nbytes
    sizes = {s.name: s.dtype.itemsize * int(np.prod([n or batch for n in s.shape]))
             for s in outputs if s.dtype != object and None not in s.shape[1:]}  # fmt: skip
    places: list[dict[str, Place]] = []
    for _ in range(lanes):
        places.append({})
        for key, size in sizes.items():
            places[-1][key] = Place(name, offset, size)
            offset += size
    memory = SharedMemory(name, create=True, size=offset)
    try:
        for row, there in zip(rows, inputs, strict=True):
            for key, array in row.items():
                _view(memory, there[key])[:] = array.tobytes()
        server = Control(http_url, _TIMEOUT_S)
        told = {"key": f"/{name}", "offset": 0, "byte_size": offset}
        server.ask("POST", f"{_PATH}/{name}/register", told)
        try:
            yield Region(memory, inputs, places, {spec.name: spec for spec in outputs}, batch)
        finally:
            with suppress(ServerError):  # a server that died needs no farewell
                server.ask("POST", f"{_PATH}/{name}/unregister", {})
    finally:
        memory.close()
        memory.unlink()


def _view(memory: SharedMemory, place: Place) -> memoryview:
    assert memory.buf is not None  # noqa: S101 - only of a region that is closed
    return memory.buf[place.offset : place.offset + place.size]
