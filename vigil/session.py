"""One way to run a network: named arrays in, named arrays out.

Code that needs a network takes a `Session` and does not know whether ONNX Runtime runs it in this
process (`OnnxSession`) or a Triton server runs it elsewhere (`TritonSession`). Both check what they
are given against what the model declares, and both say who really computes (`provider`).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from vigil.errors import InputError, ModelError
from vigil.feeds import Array, TensorSpec, check_feeds
from vigil.triton import TransportName, TritonSession, triton_error

__all__ = [
    "Array",
    "Device",
    "OnnxSession",
    "Session",
    "TensorSpec",
    "TransportName",
    "TritonSession",
    "check_feeds",
    "cuda_devices",
    "triton_error",
]

Device = Literal["auto", "cpu", "cuda"]

_ONNX_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


class Session(Protocol):
    """A loaded network."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Declared inputs, in graph order."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Declared outputs, in graph order."""

    @property
    def metadata(self) -> dict[str, str]:
        """Custom metadata of the model (ONNX metadata_props, or Triton's config parameters)."""

    @property
    def provider(self) -> str:
        """Who really computes, e.g. `CPUExecutionProvider` or `triton:onnxruntime`."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network on one batch.

        Args:
            feeds: one array per declared input, of exactly the declared dtype and shape. Where all
                inputs are batched they share the size of axis 0.

        Returns:
            One array per declared output.

        Raises:
            InputError: a name, dtype or shape differs from what the model declares.
        """


class OnnxSession:
    """ONNX Runtime in this process, on CUDA where it really works and else on the CPU.

    A model whose batch axis is fixed at 1 is run once per row and the rows are joined, so callers
    batch without knowing. Safe to call from several threads.
    """

    def __init__(
        self, path: str | Path, intra_op_threads: int = 1, device: Device = "auto"
    ) -> None:
        """Load the file at `path`.

        Args:
            path: an `.onnx` file.
            intra_op_threads: threads that one run may use (0 = one per core).
            device: `auto` takes CUDA when a device answers; `cuda` insists on it.

        Raises:
            ModelError: the file is missing or no valid model, or CUDA was asked for in vain.
        """
        import onnxruntime

        self.path = Path(path)
        if not self.path.is_file():
            raise ModelError(f"{self.path}: expected an ONNX file, got nothing at this path")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), options, providers=_providers(device)
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self.path}: expected a valid ONNX model, got: {reason}") from error
        self.provider: str = self._session.get_providers()[0]
        if device == "cuda" and self.provider != "CUDAExecutionProvider":
            raise ModelError(
                f"{self.path}: expected CUDAExecutionProvider, got {self.provider} "
                "(CUDA or its libraries are not usable here)"
            )
        self.inputs = self._specs(self._session.get_inputs())
        self.outputs = self._specs(self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._one_by_one = all(spec.shape[:1] == (1,) for spec in self.inputs)

    def _specs(self, nodes: Iterable[Any]) -> tuple[TensorSpec, ...]:
        specs = []
        for node in nodes:
            if node.type not in _ONNX_DTYPES:
                raise ModelError(f"{self.path}: {node.name}: unsupported type {node.type}")
            shape = tuple(size if isinstance(size, int) else None for size in node.shape)
            specs.append(TensorSpec(node.name, np.dtype(_ONNX_DTYPES[node.type]), shape))
        return tuple(specs)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one batch; see `Session.run`.

        Raises:
            InputError: the feeds do not fit the declared inputs, or the batch is empty.
            ModelError: ONNX Runtime failed inside the graph.
        """
        specs = self.inputs
        if self._one_by_one:
            specs = tuple(TensorSpec(s.name, s.dtype, (None, *s.shape[1:])) for s in specs)
        check_feeds(self.path.name, specs, feeds)
        if not self._one_by_one:
            return self._run(feeds)
        sizes = {array.shape[0] for array in feeds.values()}
        if len(sizes) > 1:
            raise InputError(f"{self.path.name}: expected one batch size, got {sorted(sizes)}")
        size = sizes.pop() if sizes else 1
        if size == 1:
            return self._run(feeds)
        rows = [self._run({k: v[i : i + 1] for k, v in feeds.items()}) for i in range(size)]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = [spec.name for spec in self.outputs]
        try:
            values = self._session.run(names, dict(feeds))
        except Exception as error:  # ONNX Runtime's exceptions share no base but Exception
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self.path}: inference failed: {reason}") from error
        return dict(zip(names, values, strict=True))


def cuda_devices() -> list[str]:
    """Return the names of the CUDA devices that the driver really offers ([] without a driver)."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for index in range(count.value):
        name = ctypes.create_string_buffer(256)
        driver.cuDeviceGetName(name, len(name), index)
        names.append(name.value.decode())
    return names


def _providers(device: Device) -> list[str]:
    """Choose ONNX Runtime providers: its own list names CUDA even where there is none."""
    import onnxruntime

    cuda = "CUDAExecutionProvider"
    if device == "cpu" or cuda not in onnxruntime.get_available_providers():
        return ["CPUExecutionProvider"]
    if not cuda_devices():
        return ["CPUExecutionProvider"]
    onnxruntime.preload_dlls()
    return [cuda, "CPUExecutionProvider"]
