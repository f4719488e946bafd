"""ONNX Runtime as a Triton Python-based backend: what makes `backend: "onnxruntime"` load.

Triton's core queues and batches; each model instance is one process of this file, which joins the
requests it is handed, runs ONNX Runtime once and takes the answer apart. It imports nothing of
vigil, because it runs inside Triton's stub. Configuration follows NVIDIA's C++ backend, so that the
same repository is served by both:

- parameters `intra_op_thread_count`, `inter_op_thread_count`, `execution_mode` (0 sequential,
  1 parallel), and `optimization.graph.level` (-1 basic, 1 extended, 2 none, else all);
- `optimization.execution_accelerators`: `cuda`, `tensorrt` on a GPU, `openvino` on a CPU.

Refused at load, because it is not supported: ragged batches, `batch_input`, `batch_output`,
implicit sequence state, decoupled answers, shape tensors, optional inputs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

_ONNX_TYPES = {
    "TYPE_BOOL": "tensor(bool)",
    "TYPE_UINT8": "tensor(uint8)",
    "TYPE_UINT16": "tensor(uint16)",
    "TYPE_UINT32": "tensor(uint32)",
    "TYPE_UINT64": "tensor(uint64)",
    "TYPE_INT8": "tensor(int8)",
    "TYPE_INT16": "tensor(int16)",
    "TYPE_INT32": "tensor(int32)",
    "TYPE_INT64": "tensor(int64)",
    "TYPE_FP16": "tensor(float16)",
    "TYPE_FP32": "tensor(float)",
    "TYPE_FP64": "tensor(double)",
    "TYPE_STRING": "tensor(string)",
}
_GRAPH_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}
_ACCELERATORS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_TENSORRT_OPTIONS = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "trt_engine_cache_enable": "trt_engine_cache_enable",
    "trt_engine_cache_path": "trt_engine_cache_path",
}


class TritonPythonModel:
    """One instance of one model version; Triton calls the methods by these names."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load and validate the model.

        Args:
            args: from Triton: `model_config` (JSON), `model_repository` (the model's folder),
                `model_version`, `model_name`, `model_instance_kind`, `model_instance_device_id`.

        Raises:
            TritonModelException: the configuration asks for what is not supported or contradicts
                the ONNX file.
        """
        config = json.loads(args["model_config"])
        self._name = args["model_name"]
        self._batched = int(config.get("max_batch_size", 0)) > 0
        refuse_unsupported(config)
        filename = config.get("default_model_filename") or "model.onnx"
        path = str(Path(args["model_repository"], args["model_version"], filename))
        providers = choose_providers(config, args)
        try:
            self._session = onnxruntime.InferenceSession(
                path, session_options(config), providers=providers
            )
        except Exception as error:
            raise pb_utils.TritonModelException(f"{path}: {first_line(error)}") from error
        check_tensors("input", config, self._session.get_inputs(), self._batched)
        check_tensors("output", config, self._session.get_outputs(), self._batched)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._buffers: dict[str, np.ndarray[Any, Any]] = {}
        active = self._session.get_providers()[0]
        pb_utils.Logger.log_info(f"vigil: {self._name}: provider {active}")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of one Triton batch, in their order.

        Requests whose arrays agree beyond the batch axis run as one batch. When such a batch fails,
        its requests run one by one, so that only the one at fault gets the error.
        """
        responses: list[Any] = [None] * len(requests)
        groups: dict[Any, list[int]] = {}
        feeds = [self._read(request) for request in requests]
        for index, feed in enumerate(feeds):
            if requests[index].is_cancelled():
                responses[index] = failure("request was cancelled", pb_utils.TritonError.CANCELLED)
                continue
            key = tuple(array.shape[1:] for array in feed.values()) if self._batched else index
            groups.setdefault(key, []).append(index)
        for members in groups.values():
            wanted = self._wanted([requests[index] for index in members])
            answers = self._run_group([feeds[index] for index in members], wanted)
            for index, answer in zip(members, answers, strict=True):
                responses[index] = respond(answer, requests[index].requested_output_names())
        return responses

    def _read(self, request: Any) -> dict[str, np.ndarray[Any, Any]]:
        feed = {}
        for name in self._inputs:
            array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            if array.dtype == np.object_:
                array = np.array([item.decode() for item in array.flat], object).reshape(
                    array.shape
                )
            feed[name] = array
        return feed

    def _wanted(self, requests: list[Any]) -> list[str]:
        """Return the union of the outputs asked for, in the order of the configuration."""
        asked = {name for request in requests for name in request.requested_output_names()}
        return [name for name in self._outputs if name in asked]

    def _run_group(self, feeds: list[dict[str, Any]], wanted: list[str]) -> list[Any]:
        """Return one answer per feed: arrays by output name, or the exception it caused."""
        if len(feeds) == 1:
            try:
                return [dict(zip(wanted, self._session.run(wanted, feeds[0]), strict=True))]
            except Exception as error:
                return [error]
        try:
            joined = {name: self._join(name, feeds) for name in self._inputs}
            values = self._session.run(wanted, joined)
            bounds = np.cumsum([len(feed[self._inputs[0]]) for feed in feeds])
            if any(len(value) != bounds[-1] for value in values):
                raise ValueError("an output does not keep the batch axis")
        except Exception:
            return [answer for feed in feeds for answer in self._run_group([feed], wanted)]
        pieces = [np.split(value, bounds[:-1]) for value in values]
        return [dict(zip(wanted, row, strict=True)) for row in zip(*pieces, strict=True)]

    def _join(self, name: str, feeds: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
        """Concatenate one input of all feeds into a buffer that is kept between calls."""
        arrays = [feed[name] for feed in feeds]
        rows = sum(len(array) for array in arrays)
        shape, dtype = arrays[0].shape[1:], arrays[0].dtype
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape[1:] != shape or len(buffer) < rows:
            buffer = self._buffers[name] = np.empty((rows, *shape), dtype)
        return np.concatenate(arrays, out=buffer[:rows])

    def finalize(self) -> None:
        """Release the session before the process ends."""
        del self._session


def respond(answer: Any, names: Any) -> Any:
    """Build one response from arrays by output name, or from the exception in their place."""
    if isinstance(answer, Exception):
        return failure(first_line(answer), pb_utils.TritonError.INVALID_ARG)
    return pb_utils.InferenceResponse([pb_utils.Tensor(name, answer[name]) for name in names])


def failure(message: str, code: Any) -> Any:
    """Build a response that carries nothing but an error."""
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(message, code))


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message: ONNX Runtime appends stack traces."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def refuse_unsupported(config: dict[str, Any]) -> None:
    """Raise TritonModelException for each feature this backend would otherwise silently ignore."""
    found = [key for key in ("batch_input", "batch_output") if config.get(key)]
    if config.get("sequence_batching", {}).get("state"):
        found.append("sequence_batching.state")
    if config.get("model_transaction_policy", {}).get("decoupled"):
        found.append("model_transaction_policy.decoupled")
    for tensor in config["input"] + config["output"]:
        for key in ("allow_ragged_batch", "is_shape_tensor", "optional", "reshape"):
            if tensor.get(key):
                found.append(f"{tensor['name']}.{key}")
    if found:
        raise pb_utils.TritonModelException(f"not supported by this backend: {', '.join(found)}")


def session_options(config: dict[str, Any]) -> Any:
    """Translate the model configuration into ONNX Runtime session options."""

    def parameter(name: str, default: int) -> int:
        value = config.get("parameters", {}).get(name, {}).get("string_value", default)
        try:
            return int(value)
        except ValueError as error:
            message = f"parameter {name}: expected an integer, got {value!r}"
            raise pb_utils.TritonModelException(message) from error

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = parameter("intra_op_thread_count", 0)
    options.inter_op_num_threads = parameter("inter_op_thread_count", 0)
    if parameter("execution_mode", 0) == 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _GRAPH_LEVELS.get(level, "ORT_ENABLE_ALL")
    )
    options.log_severity_level = 3
    return options


def choose_providers(config: dict[str, Any], args: dict[str, str]) -> list[Any]:
    """Return ONNX Runtime providers, first choice first, for the kind of this instance."""
    on_gpu = args["model_instance_kind"] == "GPU"
    listed = config.get("optimization", {}).get("execution_accelerators", {})
    side = "gpu_execution_accelerator" if on_gpu else "cpu_execution_accelerator"
    device = {"device_id": args["model_instance_device_id"]} if on_gpu else {}
    chosen: list[Any] = []
    for accelerator in listed.get(side, []):
        given = accelerator.get("parameters", {})
        options = dict(device)
        if accelerator["name"] == "tensorrt":
            for key in given.keys() & _TENSORRT_OPTIONS.keys():
                options[_TENSORRT_OPTIONS[key]] = given[key]
            options["trt_fp16_enable"] = str(given.get("precision_mode") == "FP16")
        chosen.append((_ACCELERATORS.get(accelerator["name"], accelerator["name"]), options))
    if on_gpu:
        onnxruntime.preload_dlls()
        chosen.append(("CUDAExecutionProvider", device))
    available = onnxruntime.get_available_providers()
    missing = [name for name, _ in chosen if name not in available]
    if missing:
        message = f"expected providers out of {available}, got {missing}"
        raise pb_utils.TritonModelException(message)
    return [*chosen, "CPUExecutionProvider"]


def check_tensors(kind: str, config: dict[str, Any], nodes: list[Any], batched: bool) -> None:
    """Compare the configured inputs or outputs with those of the ONNX graph.

    Args:
        kind: `input` or `output`. Every graph input must be configured; outputs may be left out.
        config: the model configuration.
        nodes: ONNX Runtime's description of the graph's inputs or outputs.
        batched: whether Triton prepends a batch axis to the configured dims.

    Raises:
        TritonModelException: naming the first tensor that differs and how.
    """
    known = {node.name: node for node in nodes}
    named = [tensor["name"] for tensor in config[kind]]
    if kind == "input" and set(known) - set(named):
        missing = sorted(set(known) - set(named))
        raise pb_utils.TritonModelException(f"inputs of the model not configured: {missing}")
    for tensor in config[kind]:
        name = tensor["name"]
        if name not in known:
            message = f"{kind} {name}: expected one of {sorted(known)}"
            raise pb_utils.TritonModelException(message)
        want, node = _ONNX_TYPES.get(tensor["data_type"]), known[name]
        if want != node.type:
            message = f"{kind} {name}: configured {tensor['data_type']}, the model has {node.type}"
            raise pb_utils.TritonModelException(message)
        dims = [int(size) for size in tensor["dims"]]
        dims = [-1, *dims] if batched else dims
        sizes = [size if isinstance(size, int) else -1 for size in node.shape]
        fits = len(dims) == len(sizes) and all(
            a == b or b == -1 or (a == -1 and not (batched and i == 0))
            for i, (a, b) in enumerate(zip(dims, sizes, strict=True))
        )
        if not fits:
            message = f"{kind} {name}: configured {dims} with batch axis, the model has {sizes}"
            raise pb_utils.TritonModelException(message)
