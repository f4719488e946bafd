"""System shared memory: arrays reach a server on the same machine without being sent.

One region per thread and direction of a client; it grows with the requests, passes to another
thread when its own is over, and is given back when the client is closed. The server must run on
this machine and see this machine's /dev/shm.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vigil.feeds import Array, TensorSpec
from vigil.serving.client.wire import declare

_ALIGN = 64
_LEAST = 1 << 16


class Region:
    """One block of shared memory, registered with the server under a name of its own."""

    def __init__(self, client: Any, size: int) -> None:
        """Make and register a block of `size` bytes with a tritonclient client."""
        import tritonclient.utils.shared_memory as memory

        self.size = size
        self.name = f"vigil-{uuid.uuid4().hex}"
        self.handle = memory.create_shared_memory_region(self.name, f"/{self.name}", size, True)
        try:
            client.register_system_shared_memory(self.name, f"/{self.name}", size)
        except BaseException:
            memory.destroy_shared_memory_region(self.handle)
            raise

    def close(self, client: Any) -> None:
        """Give the block back over a client; a server that is gone has forgotten it already."""
        import contextlib

        import tritonclient.utils.shared_memory as memory

        with contextlib.suppress(Exception):  # whatever a lost connection raises
            client.unregister_system_shared_memory(self.name)
        memory.destroy_shared_memory_region(self.handle)


class Lane:
    """The regions of one thread: one for what goes, one for what comes.

    Attributes:
        client: the thread's client of tritonclient, over which regions are made and given back.
        thread: whose it is.
    """

    def __init__(self, client: Any, module: Any) -> None:
        """Use a tritonclient client and its module; regions are made when needed."""
        self.client, self._module = client, module
        self.thread = threading.current_thread()
        self._regions: dict[str, Region] = {}

    def inputs(self, feeds: Mapping[str, Array]) -> list[Any]:
        """Put arrays into the region; return inputs that point there.

        Strings and arrays without an element are sent as ever.
        """
        import tritonclient.utils.shared_memory as memory

        fixed = {
            name: np.ascontiguousarray(array)
            for name, array in feeds.items()
            if isinstance(array, np.ndarray) and array.dtype != object and array.size
        }
        offsets, size = _layout([array.nbytes for array in fixed.values()])
        tensors = []
        region = self._region("in", size)
        for (name, array), offset in zip(fixed.items(), offsets, strict=True):
            memory.set_shared_memory_region(region.handle, [array], offset=offset)
            tensor = declare(self._module, name, array)
            tensor.set_shared_memory(region.name, array.nbytes, offset)
            tensors.append(tensor)
        for name in feeds.keys() - fixed.keys():
            tensor = declare(self._module, name, feeds[name])
            tensor.set_data_from_numpy(feeds[name])
            tensors.append(tensor)
        return tensors

    def outputs(self, specs: Sequence[TensorSpec], rows: int) -> tuple[list[Any], list[int]]:
        """Return requested outputs that point into the region, and where each lies.

        Args:
            specs: outputs whose sizes are known but for the first.
            rows: what the first will be.
        """
        sizes = [_bytes(spec, rows) for spec in specs]
        offsets, size = _layout(sizes)
        region = self._region("out", size)
        wanted = []
        for spec, byte_size, offset in zip(specs, sizes, offsets, strict=True):
            output = self._module.InferRequestedOutput(spec.name)
            output.set_shared_memory(region.name, byte_size, offset)
            wanted.append(output)
        return wanted, offsets

    def take(self, spec: TensorSpec, rows: int, offset: int) -> Array:
        """Return a copy of what the server wrote for `spec`."""
        import tritonclient.utils.shared_memory as memory

        shape = [rows, *(size or 0 for size in spec.shape[1:])]
        handle = self._regions["out"].handle
        return np.array(memory.get_contents_as_numpy(handle, spec.dtype.type, shape, offset=offset))

    def close(self) -> None:
        """Give every region back."""
        for region in self._regions.values():
            region.close(self.client)
        self._regions = {}

    def _region(self, direction: str, size: int) -> Region:
        region = self._regions.get(direction)
        if region is None or region.size < size:
            if region is not None:
                del self._regions[direction]
                region.close(self.client)
            region = Region(self.client, max(_LEAST, 1 << max(size - 1, 1).bit_length()))
            self._regions[direction] = region
        return region


def fits(spec: TensorSpec) -> bool:
    """Tell whether an output's bytes are known once its number of rows is."""
    return (
        spec.dtype != object and spec.shape[:1] == (None,) and all(size for size in spec.shape[1:])
    )


def _bytes(spec: TensorSpec, rows: int) -> int:
    return rows * int(np.prod([size or 0 for size in spec.shape[1:]])) * spec.dtype.itemsize


def _layout(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Return offsets of blocks laid one after the other, each aligned, and where they end."""
    offsets, at = [], 0
    for size in sizes:
        offsets.append(at)
        at += -(-size // _ALIGN) * _ALIGN
    return offsets, max(at, 1)
