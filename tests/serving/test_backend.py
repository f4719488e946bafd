"""The ONNX Runtime backend is generic: every type, any configuration, clear refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient import grpc
from tritonclient.grpc import InferInput
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests import networks
from vigil.errors import InvalidRequest
from vigil.serving.client import Client
from vigil.serving.server import EmbeddedTriton
from vigil.session import TritonSession

TYPES = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
    "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
    "STRING": np.object_,
}  # fmt: skip
PARAMETERS = {
    "intra_op_thread_count": "2", "inter_op_thread_count": "1", "execution_mode": "1",
    "enable_mem_arena": "1", "enable_mem_pattern": "0",
    "memory.enable_memory_arena_shrinkage": "cpu:0", "session.intra_op.allow_spinning": "0",
}  # fmt: skip


def every_type(model: Path, shape: list[Any], max_batch: int, dims: str, configured: bool) -> None:
    """Write a model that gives back one array of every type."""
    nodes, ends = [], {"in": [], "out": []}
    for kind in TYPES:
        number = getattr(TensorProto, {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE"}.get(
            kind, kind))  # fmt: skip
        nodes.append(helper.make_node("Identity", [f"in_{kind}"], [f"out_{kind}"]))
        for end, listed in ends.items():
            listed.append(helper.make_tensor_value_info(f"{end}_{kind}", number, shape))
    networks.save(model / "1" / "model.onnx", nodes, ends["in"], ends["out"])
    if configured:
        ins, outs = ("; ".join(f"{end}_{kind} {kind} {dims}" for kind in TYPES) for end in ends)
        networks.configure(model, ins, outs, max_batch)


def scaled(path: Path) -> Path:
    """Write y = x * scale, where the graph has a default of 2 for scale."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"] if name != "scale" else [1])
        for name in ("x", "scale", "y")
    ]
    node = helper.make_node("Mul", ["x", "scale"], ["y"])
    return networks.save(path, [node], ends[:2], ends[2:], {"scale": np.float32([2])})


def parameters(values: dict[str, str]) -> str:
    return "\n".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in values.items()
    )


@pytest.fixture(scope="module")
def generic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("generic")
    every_type(folder / "rows", ["batch", 2], 8, "2", configured=True)
    every_type(folder / "whole", ["a", "b", 2], 0, "-1,-1,2", configured=True)
    every_type(folder / "guessed", ["batch", 2], 0, "", configured=False)
    scaled(folder / "scaled" / "1" / "model.onnx")
    optional = networks.configure(folder / "scaled", "x FP32 -1; scale FP32 1", "y FP32 -1", 0)
    text = (optional / "config.pbtxt").read_text()
    (optional / "config.pbtxt").write_text(text.replace("dims: [1]", "dims: [1] optional: true"))
    networks.mlp_model(folder, "tuned", extra=parameters(PARAMETERS).split("\n", 1)[1])
    networks.echo(folder / "words" / "1" / "model.onnx", TensorProto.STRING)
    wait = "dynamic_batching { max_queue_delay_microseconds: 200000 }"
    networks.configure(folder / "words", "x STRING 3", "y STRING 3", extra=wait)
    networks.mlp(folder / "fixed" / "1" / "model.onnx", batch=1)
    (folder / "half").mkdir()
    networks.mlp(folder / "half" / "1" / "model.onnx")
    (folder / "half" / "config.pbtxt").write_text(
        'name: "half" backend: "onnxruntime" max_batch_size: 16 '
        'output { name: "y" data_type: TYPE_FP32 dims: [8] }'
    )
    networks.company(folder / "pieces" / "1" / "model.onnx")
    patient = "dynamic_batching { preferred_batch_size: 5 max_queue_delay_microseconds: 20000000 }"
    pieces = parameters({"rows_per_run": "2"})
    networks.configure(folder / "pieces", "x FP32 1", "y FP32 1", 8, f"{patient}\n{pieces}")
    names = ["rows", "whole", "guessed", "scaled", "tuned", "words", "fixed", "half", "pieces"]
    with EmbeddedTriton(folder, names, auto_complete=True, startup_timeout_s=120) as running:
        yield running


def values(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    if kind == "STRING":
        return np.array([f"말 {n}" for n in range(int(np.prod(shape)))], object).reshape(shape)
    if kind == "BOOL":
        return rng.random(shape) > 0.5
    if kind.startswith("FP"):
        return (rng.standard_normal(shape) * 100).astype(TYPES[kind])
    info = np.iinfo(TYPES[kind])
    return rng.integers(info.min, info.max, shape, TYPES[kind], endpoint=True)


def plain(array: np.ndarray) -> list[Any]:
    return [one.decode() if isinstance(one, bytes) else one for one in array.reshape(-1).tolist()]


@pytest.mark.parametrize(
    ("model", "shape"),
    [("rows", (3, 2)), ("whole", (1, 5, 2)), ("whole", (4, 1, 2)), ("guessed", (4, 2))],
)
def test_every_type_passes_with_and_without_a_batch_axis(
    generic: EmbeddedTriton, model: str, shape: tuple[int, ...]
) -> None:
    feeds = {f"in_{kind}": values(kind, shape) for kind in TYPES}
    for protocol, url in (("http", generic.http_url), ("grpc", generic.grpc_url)):
        with Client(url, protocol) as client:
            answer = client.infer(model, feeds)
        for kind in TYPES:
            got, sent = answer[f"out_{kind}"], feeds[f"in_{kind}"]
            assert got.shape == shape, kind
            assert got.dtype == sent.dtype, kind
            assert plain(got) == plain(sent), kind


def test_an_input_with_a_default_may_be_left_out(generic: EmbeddedTriton) -> None:
    x = np.float32([1, 2, 3])
    with Client(generic.grpc_url) as client:
        assert client.infer("scaled", {"x": x})["y"].tolist() == [2, 4, 6]
        given = client.infer("scaled", {"x": x, "scale": np.float32([5])})["y"]
        assert given.tolist() == [5, 10, 15]
        assert client.infer("scaled", {"x": x})["y"].tolist() == [2, 4, 6]


def test_what_a_configuration_leaves_out_is_read_from_the_graph(generic: EmbeddedTriton) -> None:
    with closing(InferenceServerClient(generic.http_url)) as control:
        guessed = control.get_model_config("guessed")
        assert guessed["max_batch_size"] == 4
        assert guessed["dynamic_batching"]
        kinds = {tensor["name"]: tensor["data_type"] for tensor in guessed["input"]}
        assert kinds == {f"in_{kind}": f"TYPE_{kind}" for kind in TYPES}
        assert {tuple(tensor["dims"]) for tensor in guessed["output"]} == {(2,)}
        fixed = control.get_model_config("fixed")
        assert fixed["max_batch_size"] == 0
        assert fixed["input"][0]["dims"] == [1, 8]
        half = control.get_model_config("half")
        assert (half["max_batch_size"], half["input"][0]["dims"]) == (16, [8])
    row = np.ones((1, 8), np.float32)
    with Client(generic.grpc_url) as client:
        wanted = client.infer("half", {"x": row})["y"]
        np.testing.assert_allclose(client.infer("fixed", {"x": row})["y"], wanted)


def test_session_options_are_taken_and_change_no_answer(generic: EmbeddedTriton) -> None:
    row = np.ones((2, 8), np.float32)
    with Client(generic.grpc_url) as client:
        tuned, other = (client.infer(name, {"x": row})["y"] for name in ("tuned", "half"))
    np.testing.assert_allclose(tuned, other, atol=1e-6)


def test_a_batch_is_run_in_pieces_and_every_caller_gets_its_own_rows(
    generic: EmbeddedTriton,
) -> None:
    with Client(generic.grpc_url) as client, ThreadPoolExecutor(5) as pool:

        def ask(*values: float) -> list[float]:
            answer: list[float] = client.infer("pieces", {"x": np.float32(values)[:, None]})["y"]
            return np.ravel(answer).tolist()

        assert ask(10, 20, 30, 40, 50) == [12, 22, 32, 42, 51]
        answers = list(pool.map(ask, [10, 20, 30, 40, 50]))
    gained = sorted(answer[0] - 10 * turn for turn, answer in enumerate(answers, 1))
    assert gained == [1, 2, 2, 2, 2]  # the five travelled together, and ran by twos


def test_a_text_that_is_no_text_fails_alone(generic: EmbeddedTriton) -> None:
    rows = [[b"a", b"b", b"c"], [b"a", b"\xff\xfe", b"c"], [b"x", b"y", b"z"]] * 2
    session = TritonSession(generic.grpc_url, "words")

    def ask(row: list[bytes]) -> list[bytes] | str:
        try:
            answer: list[bytes] = session.run({"x": np.array([row], object)})["y"][0].tolist()
        except InvalidRequest as error:
            return str(error)
        return answer

    with ThreadPoolExecutor(len(rows)) as pool:
        answers = list(pool.map(ask, rows))
    for row, answer in zip(rows, answers, strict=True):
        assert ("utf-8" in answer) if b"\xff\xfe" in row else (answer == row)


@pytest.mark.slow
def test_a_slow_model_does_not_run_requests_that_nobody_waits_for(
    generic: EmbeddedTriton,
) -> None:
    model = generic.model_repository / "slow"
    networks.weight_bound(model / "1" / "model.onnx")
    networks.configure(model, "x FP32 1024", "y FP32 1024")
    tensor = InferInput("x", [1, 1024], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 1024), np.float32))
    with closing(grpc.InferenceServerClient(generic.grpc_url)) as client:

        def seconds() -> float:
            began = time.perf_counter()
            client.infer("slow", [tensor])
            return time.perf_counter() - began

        client.load_model("slow")
        alone = sorted(seconds() for _ in range(5))[2]
        calls = [
            client.async_infer("slow", [tensor], lambda result, error: None) for _ in range(40)
        ]
        time.sleep(0.02)
        for call in calls:
            call.cancel()
        behind = seconds()
        client.unload_model("slow")
    assert behind < 10 * alone


@pytest.mark.parametrize(
    ("extra", "change", "message"),
    [
        pytest.param({}, {"FP32": "BF16"}, "x: configured TYPE_BF16, the model has", id="bfloat16"),
        pytest.param({"execution_mode": "2"}, {}, "execution_mode: expected 0 to 1", id="mode"),
        pytest.param({"enable_mem_arena": "-1"}, {}, "enable_mem_arena: expected 0", id="arena"),
        pytest.param({"rows_per_run": "-1"}, {}, "rows_per_run: expected 0 or more", id="pieces"),
        pytest.param({"session.x": "y"}, {'"x"': '"q"'}, "input q: expected one of", id="name"),
        pytest.param({}, {"model.onnx": "cut"}, r"model\.onnx: ", id="corrupt"),
        pytest.param({}, {"model.onnx": "gone"}, r"model\.onnx", id="missing"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_by_name(
    generic: EmbeddedTriton, request: pytest.FixtureRequest,
    extra: dict[str, str], change: dict[str, str], message: str,
) -> None:  # fmt: skip
    name = f"bad_{request.node.callspec.id}"
    model = networks.mlp_model(generic.model_repository, name, extra=parameters(extra))
    text = (model / "config.pbtxt").read_text()
    for old, new in change.items():
        text = text.replace(old, new)
    (model / "config.pbtxt").write_text(text)
    if change.get("model.onnx") == "cut":
        data = (model / "1" / "model.onnx").read_bytes()
        (model / "1" / "model.onnx").write_bytes(data[: len(data) // 2])
    if change.get("model.onnx") == "gone":
        (model / "1" / "model.onnx").unlink()
    with (
        closing(InferenceServerClient(generic.http_url)) as control,
        pytest.raises(InferenceServerException, match=message),
    ):
        control.load_model(name)
