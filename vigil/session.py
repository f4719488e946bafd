"""One way to run a network: named arrays in, named arrays out.

Code that needs a network takes a `Session` and does not know whether ONNX Runtime runs it in this
process (`OnnxSession`) or a Triton server runs it elsewhere (`TritonSession`). Both check what they
are given against what the model declares, and both say who really computes (`provider`).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vigil.errors import (
    DeadlineExceeded,
    InputError,
    InvalidRequest,
    ModelError,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
)

Array = NDArray[Any]
Device = Literal["auto", "cpu", "cuda"]
TransportName = Literal["http", "grpc"]

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


@dataclass(frozen=True)
class TensorSpec:
    """Declared input or output of a model.

    Attributes:
        name: the tensor's name in the graph.
        dtype: NumPy dtype of its elements.
        shape: sizes, batch axis first where there is one; None accepts any size.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of `shape` fits, sizes of None matching anything."""
        return len(shape) == len(self.shape) and all(
            want is None or want == got for want, got in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        """Return e.g. `keypoints float32 (*, 2, 100, 17, 3)`."""
        sizes = ", ".join("*" if size is None else str(size) for size in self.shape)
        return f"{self.name} {self.dtype} ({sizes})"


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


class TritonSession:
    """A model on a Triton server, over HTTP or gRPC. Safe to call from several threads."""

    def __init__(
        self, url: str, model: str, protocol: TransportName = "grpc", timeout_s: float = 30.0
    ) -> None:
        """Ask the server at `url` (`host:port`) what `model` takes and gives.

        Args:
            url: address of the server's HTTP or gRPC endpoint, without a scheme.
            model: name of a served model.
            protocol: which of the two endpoints `url` is.
            timeout_s: longest wait for one answer, in seconds.

        Raises:
            ServerUnavailable, ModelNotFound, DeadlineExceeded: see `vigil.errors`.
        """
        self.url, self.model, self.protocol, self.timeout_s = url, model, protocol, timeout_s
        self._local = threading.local()
        if protocol == "grpc":
            described = self._call("get_model_metadata", self.model, as_json=True)
            config = self._call("get_model_config", self.model, as_json=True)["config"]
        else:
            described = self._call("get_model_metadata", self.model)
            config = self._call("get_model_config", self.model)
        self.max_batch = int(config.get("max_batch_size", 0))
        parameters = config.get("parameters", {})
        self.metadata = {key: value["string_value"] for key, value in parameters.items()}
        self.provider = f"triton:{config.get('backend') or config.get('platform')}"
        self.inputs = tuple(_triton_spec(tensor) for tensor in described["inputs"])
        self.outputs = tuple(_triton_spec(tensor) for tensor in described["outputs"])

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run one batch, in pieces of the model's maximum where it is larger; see `Session.run`.

        Raises:
            InputError: the feeds do not fit the declared inputs.
            ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded: by cause.
        """
        check_feeds(self.model, self.inputs, feeds)
        if self.max_batch == 0:
            return self._infer(feeds)
        sizes = {array.shape[0] for array in feeds.values()}
        if len(sizes) != 1:
            raise InputError(f"{self.model}: expected one batch size, got {sorted(sizes)}")
        parts = [
            self._infer({name: array[i : i + self.max_batch] for name, array in feeds.items()})
            for i in range(0, sizes.pop(), self.max_batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        module = _triton_module(self.protocol)
        inputs = []
        for spec in self.inputs:
            array = feeds[spec.name]
            tensor = module.InferInput(spec.name, list(array.shape), _triton_dtype(spec.dtype))
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        outputs = [module.InferRequestedOutput(spec.name) for spec in self.outputs]
        answer = self._call("infer", self.model, inputs, outputs=outputs)
        return {spec.name: answer.as_numpy(spec.name) for spec in self.outputs}

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call the client of this thread and give every failure its cause's class."""
        if self.protocol == "grpc":
            options["client_timeout"] = self.timeout_s
        try:
            return getattr(self._client(), method)(*args, **options)
        except Exception as error:  # sockets, gevent and tritonclient raise unrelated classes
            self._local.client = None  # a connection that broke or timed out is not used again
            raise triton_error(f"{self.model} at {self.protocol}://{self.url}", error) from error

    def _client(self) -> Any:
        """Return this thread's client: tritonclient's are not made for sharing."""
        client = getattr(self._local, "client", None)
        if client is None:
            limits: dict[str, float] = {}
            if self.protocol == "http":
                limits = {"connection_timeout": self.timeout_s, "network_timeout": self.timeout_s}
            client = _triton_module(self.protocol).InferenceServerClient(self.url, **limits)
            self._local.client = client
        return client


def triton_error(subject: str, error: Exception) -> ServerError:
    """Turn whatever a Triton client raised into the error class of its cause.

    Args:
        subject: what was asked for and where, for the message.
        error: the exception of tritonclient, gRPC, gevent or the socket.

    Returns:
        The error to raise: ServerUnavailable, ModelNotFound, InvalidRequest, DeadlineExceeded, or
        a plain ServerError for what the server itself failed at.
    """
    status = getattr(error, "status", None)
    code = str(status() if callable(status) else "").removeprefix("StatusCode.")
    reason = " ".join(str(error).split())
    kind: type[ServerError] = ServerError
    if code in {"NOT_FOUND", "404"} or "unknown model" in reason:
        kind = ModelNotFound
    elif code == "DEADLINE_EXCEEDED" or isinstance(error, TimeoutError):
        kind = DeadlineExceeded
    elif code == "UNAVAILABLE" and "not ready" in reason:
        kind = ModelNotFound
    elif code == "UNAVAILABLE" or isinstance(error, OSError):
        kind = ServerUnavailable
    elif code in {"INVALID_ARGUMENT", "400"}:
        kind = InvalidRequest
    return kind(f"{subject}: {reason}")


def _triton_module(protocol: TransportName) -> Any:
    if protocol == "grpc":
        import tritonclient.grpc as module
    else:
        import tritonclient.http as module
    return module


def _triton_dtype(dtype: np.dtype[Any]) -> str:
    from tritonclient.utils import np_to_triton_dtype

    return str(np_to_triton_dtype(dtype))


def _triton_spec(tensor: Mapping[str, Any]) -> TensorSpec:
    from tritonclient.utils import triton_to_np_dtype

    sizes = tuple(int(size) for size in tensor["shape"])
    shape = tuple(size if size >= 0 else None for size in sizes)
    return TensorSpec(tensor["name"], np.dtype(triton_to_np_dtype(tensor["datatype"])), shape)


def check_feeds(model: str, specs: tuple[TensorSpec, ...], feeds: Mapping[str, Array]) -> None:
    """Compare arrays with the inputs a model declares.

    Args:
        model: the model's name, for the message.
        specs: declared inputs.
        feeds: arrays by input name.

    Raises:
        InputError: a missing or unknown name, another dtype or shape, or an empty batch.
    """
    wanted, given = {spec.name for spec in specs}, set(feeds)
    if wanted != given:
        raise InputError(f"{model}: expected inputs {sorted(wanted)}, got {sorted(given)}")
    for spec in specs:
        array = feeds[spec.name]
        if not isinstance(array, np.ndarray):
            raise InputError(f"{model}: expected {spec}, got {type(array).__name__}")
        if array.dtype != spec.dtype or not spec.accepts(array.shape):
            raise InputError(f"{model}: expected {spec}, got {array.dtype} {array.shape}")
        if array.ndim and array.shape[0] == 0:
            raise InputError(f"{model}: expected {spec} with at least one row, got {array.shape}")


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
