"""What a Triton model configuration says of an ONNX file, in ONNX Runtime's own terms.

It follows NVIDIA's C++ backend, so that the same repository is served by both:

- parameters `intra_op_thread_count`, `inter_op_thread_count`, `execution_mode` (0 sequential,
  1 parallel), `enable_mem_arena`, `enable_mem_pattern`, `memory.enable_memory_arena_shrinkage`,
  every `session.` entry of ONNX Runtime, and `optimization.graph.level` (-1 basic, 1 extended,
  2 none, else all);
- parameter `rows_per_run`, ours alone: so many rows of a joined batch are run at once, 0 for all;
  NVIDIA's backend takes no notice of it;
- `optimization.execution_accelerators`: `cuda`, `tensorrt` on a GPU, `openvino` on a CPU;
- `reshape`: the graph is compared with the model's shapes; Triton's core does the reshaping;
- what `config.pbtxt` leaves out is read from the ONNX file, where the server allows it.

An input is optional where the graph has a default for it. Refused at load, because it is not
supported: ragged batches, `batch_input`, `batch_output`, implicit sequence state, decoupled
answers, shape tensors, and text in beside bfloat16 out, for which ONNX Runtime has no call in
Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import triton_python_backend_utils as pb_utils
from onnx_tensors import model_shape

_DEFAULT_BATCH = 4  # of a batching model whose configuration names none, as in the C++ backend
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
    "TYPE_BF16": "tensor(bfloat16)",
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
        for key in ("allow_ragged_batch", "is_shape_tensor"):
            if tensor.get(key):
                found.append(f"{tensor['name']}.{key}")
    if any(tensor["data_type"] == "TYPE_STRING" for tensor in config["input"]):
        for tensor in config["output"]:
            if tensor["data_type"] == "TYPE_BF16":
                found.append(f"{tensor['name']}.data_type TYPE_BF16 beside inputs of TYPE_STRING")
    if found:
        raise pb_utils.TritonModelException(f"not supported by this backend: {', '.join(found)}")


def load(path: str, options: Any, providers: list[Any]) -> Any:
    """Load an ONNX file.

    Raises:
        TritonModelException: naming the file and what ONNX Runtime says of it.
    """
    if not Path(path).is_file():
        raise pb_utils.TritonModelException(f"{path}: expected an ONNX file, got none")
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:
        raise pb_utils.TritonModelException(f"{path}: {first_line(error)}") from error


def parameter(config: dict[str, Any], name: str, default: int, highest: int | None = None) -> int:
    """Return an integer parameter of the configuration, from 0 to `highest`.

    Raises:
        TritonModelException: another value.
    """
    value = config.get("parameters", {}).get(name, {}).get("string_value", default)
    try:
        number = int(value)
    except ValueError as error:
        message = f"parameter {name}: expected an integer, got {value!r}"
        raise pb_utils.TritonModelException(message) from error
    if number < 0 or (highest is not None and number > highest):
        limit = "or more" if highest is None else f"to {highest}"
        message = f"parameter {name}: expected 0 {limit}, got {number}"
        raise pb_utils.TritonModelException(message)
    return number


def session_options(config: dict[str, Any]) -> Any:
    """Translate the model configuration into ONNX Runtime session options.

    Raises:
        TritonModelException: a parameter out of its range.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = parameter(config, "intra_op_thread_count", 0)
    options.inter_op_num_threads = parameter(config, "inter_op_thread_count", 0)
    if parameter(config, "execution_mode", 0, highest=1) == 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = bool(parameter(config, "enable_mem_arena", 1, highest=1))
    options.enable_mem_pattern = bool(parameter(config, "enable_mem_pattern", 1, highest=1))
    for name, value in config.get("parameters", {}).items():
        if name.startswith("session."):
            options.add_session_config_entry(name, value.get("string_value", ""))
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _GRAPH_LEVELS.get(level, "ORT_ENABLE_ALL")
    )
    options.log_severity_level = 3
    return options


def run_options(config: dict[str, Any]) -> Any:
    """Translate the model configuration into ONNX Runtime run options."""
    options = onnxruntime.RunOptions()
    name = "memory.enable_memory_arena_shrinkage"
    shrink = config.get("parameters", {}).get(name, {}).get("string_value")
    if shrink:
        options.add_run_config_entry(name, shrink)
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


def model_file() -> str:
    """Return the ONNX file that this process was started for, which its command line names."""
    arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
    return arguments[1].decode() if len(arguments) > 1 else ""


def complete(config: Any, session: Any) -> None:
    """Add to a configuration what it leaves out: the tensors, and a batch axis where there is one.

    A graph has a batch axis where axis 0 of every tensor is free; a configuration whose dims name
    all axes already says that it is none.

    Args:
        config: Triton's configuration under completion; what it says stays.
        session: the loaded graph.

    Raises:
        TritonModelException: a tensor of a type that Triton does not have, or a contradiction.
    """
    types = {onnx: triton for triton, onnx in _ONNX_TYPES.items()}
    known = config.as_dict()
    given = {tensor["name"]: tensor for tensor in [*known["input"], *known["output"]]}
    nodes = [*session.get_inputs(), *session.get_outputs()]
    free = all(node.shape and not isinstance(node.shape[0], int) for node in nodes)
    whole = any(
        len(model_shape(given[node.name])) == len(node.shape)
        for node in nodes
        if node.name in given
    )
    batched = int(known["max_batch_size"]) > 0 or (free and not whole)
    if batched and int(known["max_batch_size"]) == 0:
        config.set_max_batch_size(_DEFAULT_BATCH)
        if not any(known.get(key) for key in ("dynamic_batching", "sequence_batching")):
            config.set_dynamic_batching()
    for part, add in (
        (session.get_inputs(), config.add_input), (session.get_outputs(), config.add_output)
    ):  # fmt: skip
        for node in part:
            if node.type not in types:
                message = f"{node.name}: expected a type that Triton has, got {node.type}"
                raise pb_utils.TritonModelException(message)
            sizes = [size if isinstance(size, int) else -1 for size in node.shape]
            if node.name not in given or not given[node.name].get("dims"):
                dims = sizes[1:] if batched else sizes
                alone = batched and not dims  # a number per row: Triton wants dims of everything
                tensor = {"name": node.name, "data_type": types[node.type]}
                tensor |= {"dims": [1] if alone else dims}
                add(tensor)
                if alone:  # `add` knows no reshape, and keeps this very tensor
                    given.get(node.name, tensor)["reshape"] = {"shape": []}


def check_inputs_named(config: dict[str, Any], nodes: list[Any]) -> None:
    """Raise TritonModelException for graph inputs without a default that are not configured."""
    missing = {node.name for node in nodes} - {tensor["name"] for tensor in config["input"]}
    if missing:
        message = f"inputs of the model not configured: {sorted(missing)}"
        raise pb_utils.TritonModelException(message)


def check_tensors(
    kind: str, config: dict[str, Any], nodes: list[Any], batched: bool, whole: set[str]
) -> None:
    """Compare the configured inputs or outputs with those of the ONNX graph.

    Args:
        kind: `input` or `output`; the graph may have more than are configured.
        config: the model configuration.
        nodes: ONNX Runtime's description of the graph's inputs or outputs.
        batched: whether Triton prepends a batch axis to the configured dims.
        whole: inputs with a default, whose first axis need not be free.

    Raises:
        TritonModelException: naming the first tensor that differs and how.
    """
    known = {node.name: node for node in nodes}
    for tensor in config[kind]:
        name = tensor["name"]
        if name not in known:
            message = f"{kind} {name}: expected one of {sorted(known)}"
            raise pb_utils.TritonModelException(message)
        want, node = _ONNX_TYPES.get(tensor["data_type"]), known[name]
        if want != node.type:
            message = f"{kind} {name}: configured {tensor['data_type']}, the model has {node.type}"
            raise pb_utils.TritonModelException(message)
        dims = [-1, *model_shape(tensor)] if batched else model_shape(tensor)
        sizes = [size if isinstance(size, int) else -1 for size in node.shape]
        fits = len(dims) == len(sizes) and all(
            a == b or b == -1 or (a == -1 and (name in whole or not (batched and i == 0)))
            for i, (a, b) in enumerate(zip(dims, sizes, strict=True))
        )
        if not fits:
            message = f"{kind} {name}: configured {dims} with batch axis, the model has {sizes}"
            raise pb_utils.TritonModelException(message)
