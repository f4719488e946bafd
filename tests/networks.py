"""Tiny ONNX networks and model folders, made on the spot for tests of sessions and servers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Mapping[str, np.ndarray] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a graph at opset 17 and IR 8."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def mlp(path: Path, width: int = 8, layers: int = 2, batch: int | str = "batch") -> Path:
    """Write y = relu(… relu(x W0) … Wn): `x` and `y` are (batch, width) float32."""
    rng = np.random.default_rng(0)
    weights, nodes, last = {}, [], "x"
    for layer in range(layers):
        scale = np.float32(np.sqrt(2 / width))
        weights[f"w{layer}"] = rng.standard_normal((width, width), np.float32) * scale
        name = "y" if layer == layers - 1 else f"a{layer}"
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [name]))
        last = name
    x = helper.make_tensor_value_info("x", FLOAT, [batch, width])
    y = helper.make_tensor_value_info("y", FLOAT, [batch, width])
    return save(path, nodes, [x], [y], weights, {"origin": "test"})


def company(path: Path) -> Path:
    """Write y = x + the number of rows that are run together; x and y are (batch, 1) float32."""
    nodes = [
        helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
        helper.make_node("Cast", ["rows"], ["count"], to=FLOAT),
        helper.make_node("Add", ["x", "count"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", FLOAT, ["batch", 1])
    y = helper.make_tensor_value_info("y", FLOAT, ["batch", 1])
    return save(path, nodes, [x], [y])


def color_clip(path: Path, crop_px: int = 16, clip: str = "test/colors") -> Path:
    """Write an image encoder whose vector is a crop's mean red, green, blue and a constant."""
    crops = helper.make_tensor_value_info(
        "crops", TensorProto.UINT8, ["batch", crop_px, crop_px, 3]
    )
    embedding = helper.make_tensor_value_info("embedding", FLOAT, ["batch", 4])
    nodes = [
        helper.make_node("Cast", ["crops"], ["floats"], to=FLOAT),
        helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Pad", ["mean", "pads", "one"], ["padded"]),
        helper.make_node("LpNormalization", ["padded"], ["embedding"], axis=1, p=2),
    ]
    weights = {"pads": np.array([0, 0, 0, 1], np.int64), "one": np.float32(1.0)}
    notes = {"clip": clip, "dim": "4", "logit_scale": "50.0"}
    return save(path, nodes, [crops], [embedding], weights, notes)


def weight_bound(path: Path, width: int = 1024, layers: int = 4, sines: int = 3) -> Path:
    """Write an MLP that makes its weights anew, as sin(sin(sin(V))), whenever it runs.

    One execution costs about the same whether it serves one row or thirty: what a GPU that idles at
    batch 1 looks like, in miniature. The V are inputs with defaults, or they would be folded away.
    """
    rng = np.random.default_rng(0)
    weights, nodes, last = {}, [], "x"
    inputs = [helper.make_tensor_value_info("x", FLOAT, ["batch", width])]
    for layer in range(layers):
        scale = np.float32(np.sqrt(2 / width))
        weights[f"v{layer}"] = rng.standard_normal((width, width), np.float32) * scale
        inputs.append(helper.make_tensor_value_info(f"v{layer}", FLOAT, [width, width]))
        name = "y" if layer == layers - 1 else f"a{layer}"
        steps = [f"v{layer}", *(f"s{layer}_{step}" for step in range(1, sines)), f"w{layer}"]
        nodes += [helper.make_node("Sin", [old], [new]) for old, new in pairwise(steps)]
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Relu", [f"h{layer}"], [name]))
        last = name
    y = helper.make_tensor_value_info("y", FLOAT, ["batch", width])
    return save(path, nodes, inputs, [y], weights)


def lookup(path: Path, rows: int = 4) -> Path:
    """Write y = table[x]: a row whose index lies outside the table fails inside the graph."""
    table = np.arange(rows, dtype=np.float32)
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 1])
    y = helper.make_tensor_value_info("y", FLOAT, ["batch", 1])
    return save(path, [node], [x], [y], {"table": table})


def echo(path: Path, kind: int) -> Path:
    """Write y = x for rows of three values of the ONNX type numbered `kind`."""
    x, y = (helper.make_tensor_value_info(name, kind, ["batch", 3]) for name in "xy")
    return save(path, [helper.make_node("Identity", ["x"], ["y"])], [x], [y])


def recognizer(
    path: Path,
    labels: Sequence[str] = ("normal", "assault", "faint"),
    batch: int | str = "batch",
    scale: float = 10,
) -> Path:
    """Write a network with a recognizer's inputs and outputs (M 2, T 4, V 17).

    Its logits are the mean joint position over the image size, times a matrix.
    """
    matrix = np.random.default_rng(1).standard_normal((2, len(labels)), np.float32) * np.float32(
        scale
    )
    weights = {"matrix": matrix, "starts": np.array([0]), "ends": np.array([2])}
    weights["axes"] = np.array([4])
    nodes = [
        helper.make_node("Slice", ["keypoints", "starts", "ends", "axes"], ["xy"]),
        helper.make_node("ReduceMean", ["xy"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "image_size"], ["place"]),
        helper.make_node("MatMul", ["place", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    inputs = [
        helper.make_tensor_value_info("keypoints", FLOAT, [batch, 2, 4, 17, 3]),
        helper.make_tensor_value_info("image_size", FLOAT, [batch, 2]),
    ]
    outputs = [
        helper.make_tensor_value_info(name, FLOAT, [batch, len(labels)])
        for name in ("probabilities", "logits")
    ]
    return save(path, nodes, inputs, outputs, weights, {"labels": json.dumps(list(labels))})


def sequence_recognizer(path: Path, length: int = 8, dim: int = 4, classes: int = 3) -> Path:
    """Write a recognizer of embeddings: the logits are their mean over time, times a matrix."""
    matrix = np.random.default_rng(2).standard_normal((dim, classes), np.float32) * np.float32(5)
    nodes = [
        helper.make_node("ReduceMean", ["embeddings"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    inputs = [helper.make_tensor_value_info("embeddings", FLOAT, ["batch", length, dim])]
    outputs = [
        helper.make_tensor_value_info(name, FLOAT, ["batch", classes])
        for name in ("probabilities", "logits")
    ]
    return save(path, nodes, inputs, outputs, {"matrix": matrix})


def configure(
    model: Path, inputs: str, outputs: str, max_batch: int = 8, extra: str = "", instances: int = 1
) -> Path:
    """Write `config.pbtxt` into a model folder; tensors as `name TYPE dim,dim; name TYPE dim`."""

    def tensors(kind: str, text: str) -> str:
        lines = []
        for part in text.split(";"):
            name, kind_of, dims = part.split()
            lines.append(f'{kind} {{ name: "{name}" data_type: TYPE_{kind_of} dims: [{dims}] }}')
        return "\n".join(lines)

    model.mkdir(parents=True, exist_ok=True)
    (model / "config.pbtxt").write_text(
        f'name: "{model.name}"\nbackend: "onnxruntime"\nmax_batch_size: {max_batch}\n'
        f"{tensors('input', inputs)}\n{tensors('output', outputs)}\n"
        f"instance_group {{ kind: KIND_CPU count: {instances} }}\n"
        'parameters { key: "intra_op_thread_count" value { string_value: "1" } }\n'
        f"{extra}\n"
    )
    return model


def mlp_model(
    repository: Path, name: str = "mlp", max_batch: int = 8, extra: str = "", instances: int = 1
) -> Path:
    """Write a whole model folder around `mlp`."""
    mlp(repository / name / "1" / "model.onnx")
    return configure(repository / name, "x FP32 8", "y FP32 8", max_batch, extra, instances)


def recognizer_model(repository: Path, name: str = "tiny", extra: str = "") -> Path:
    """Write a whole model folder around `recognizer`: dynamic batching, labels in three places."""
    labels = ["normal", "assault", "faint"]
    model = repository / name
    recognizer(model / "1" / "model.onnx", labels)
    (model / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    quoted = json.dumps(labels).replace('"', '\\"')
    configure(
        model,
        "keypoints FP32 2,4,17,3; image_size FP32 2",
        "probabilities FP32 3; logits FP32 3",
        extra="dynamic_batching { max_queue_delay_microseconds: 1000 }\n"
        f'parameters {{ key: "labels" value {{ string_value: "{quoted}" }} }}\n{extra}',
    )
    path = model / "config.pbtxt"
    text = path.read_text().replace("dims: [3] }", 'dims: [3] label_filename: "labels.txt" }', 1)
    path.write_text(text)
    return model


def clips(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return `count` random inputs of `recognizer`."""
    rng = np.random.default_rng(seed)
    return {
        "keypoints": rng.uniform(0, 640, (count, 2, 4, 17, 3)).astype(np.float32),
        "image_size": np.tile(np.array([[640, 360]], np.float32), (count, 1)),
    }
