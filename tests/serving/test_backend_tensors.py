"""The ONNX Runtime backend takes and gives bfloat16, and serves what `reshape` reshapes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

from tests import networks
from vigil.benchmark.counters import read_counters
from vigil.errors import InvalidRequest
from vigil.serving.client import Client
from vigil.serving.client.aio import AsyncClient
from vigil.serving.probe import check_version
from vigil.serving.repository import parse_config
from vigil.serving.server import EmbeddedTriton
from vigil.session import TransportName, TritonSession

BF16 = np.dtype(ml_dtypes.bfloat16)
FLOAT, BFLOAT16, STRING = TensorProto.FLOAT, TensorProto.BFLOAT16, TensorProto.STRING
PATIENT = "dynamic_batching { preferred_batch_size: 5 max_queue_delay_microseconds: 500000 }"
PIECES = 'parameters { key: "rows_per_run" value { string_value: "3" } }'
PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


def ends(kind: int, shape: list[Any], names: str) -> list[Any]:
    return [helper.make_tensor_value_info(name, kind, shape) for name in names.split()]


def scaled(model: Path, shape: list[Any]) -> None:
    """Write y = bfloat16(x * 3 + shift), same = x, z = float32(x); shift is 0.5 by default."""
    nodes = [
        helper.make_node("Cast", ["x"], ["z"], to=FLOAT),
        helper.make_node("Cast", ["shift"], ["shift_f"], to=FLOAT),
        helper.make_node("Mul", ["z", "three"], ["product"]),
        helper.make_node("Add", ["product", "shift_f"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["y"], to=BFLOAT16),
        helper.make_node("Identity", ["x"], ["same"]),
    ]
    inputs = [*ends(BFLOAT16, shape, "x"), *ends(BFLOAT16, [1], "shift")]
    outputs = [*ends(BFLOAT16, shape, "y same"), *ends(FLOAT, shape, "z")]
    weights = {"three": np.float32([3]), "shift": np.array([0.5], BF16)}
    networks.save(model / "1" / "model.onnx", nodes, inputs, outputs, weights)


def worded(model: Path, same: bool) -> None:
    """Write z = float32(x), v = w and perhaps same = x, where w is text and x bfloat16."""
    nodes = [
        helper.make_node("Cast", ["x"], ["z"], to=FLOAT),
        helper.make_node("Identity", ["w"], ["v"]),
        helper.make_node("Identity", ["x"], ["same"]),
    ]
    inputs = [*ends(BFLOAT16, ["n", 3], "x"), *ends(STRING, ["n", 1], "w")]
    outputs = [*ends(FLOAT, ["n", 3], "z"), *ends(STRING, ["n", 1], "v")]
    outputs += ends(BFLOAT16, ["n", 3], "same") if same else []
    networks.save(model / "1" / "model.onnx", nodes, inputs, outputs)


def turned(model: Path, kind: int, batch: list[Any]) -> None:
    """Write y = x transposed and double = s + s, where x is (2, n) and s a number, per row."""
    axes = [*range(len(batch)), len(batch) + 1, len(batch)]
    nodes = [
        helper.make_node("Transpose", ["x"], ["y"], perm=axes),
        helper.make_node("Add", ["s", "s"], ["double"]),
    ]
    inputs = [*ends(kind, [*batch, 2, "n"], "x"), *ends(FLOAT, batch or [1], "s")]
    outputs = [*ends(kind, [*batch, "n", 2], "y"), *ends(FLOAT, batch or [1], "double")]
    networks.save(model / "1" / "model.onnx", nodes, inputs, outputs)


def reshape(model: Path, shapes: dict[str, str]) -> None:
    """Write the shape that a model has of a tensor behind its dims."""
    lines = (model / "config.pbtxt").read_text().splitlines()
    for name, shape in shapes.items():
        (at,) = (i for i, line in enumerate(lines) if f'{{ name: "{name}"' in line)
        lines[at] = lines[at].removesuffix("}") + f"reshape {{ shape: [{shape}] }} }}"
    (model / "config.pbtxt").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("tensors")
    outs = "y BF16 {0}; same BF16 {0}; z FP32 {0}"
    scaled(folder / "rows", ["batch", 3])
    networks.configure(folder / "rows", "x BF16 3", outs.format("3"), 8, PATIENT)
    scaled(folder / "whole", ["a", 3])
    whole = networks.configure(
        folder / "whole", "x BF16 -1,3; shift BF16 1", outs.format("-1,3"), 0
    )
    text = (whole / "config.pbtxt").read_text()
    (whole / "config.pbtxt").write_text(text.replace("dims: [1]", "dims: [1] optional: true"))
    scaled(folder / "guessed", ["batch", 3])
    worded(folder / "worded", same=False)
    networks.configure(folder / "worded", "x BF16 3; w STRING 1", "z FP32 3; v STRING 1", 4)
    for name, kind, number in (("turned", "FP32", FLOAT), ("turned_half", "BF16", BFLOAT16)):
        turned(folder / name, number, ["batch"])
        networks.configure(
            folder / name, f"x {kind} 2,-1,1; s FP32 1", f"y {kind} -1,1,2; double FP32 1,1",
            8, f"{PATIENT}\n{PIECES}",
        )  # fmt: skip
        reshape(folder / name, {"x": "2,-1", "s": "", "y": "-1,2", "double": ""})
    turned(folder / "turned_whole", FLOAT, [])
    networks.configure(folder / "turned_whole", "x FP32 6; s FP32 1", "y FP32 2,3; double FP32 1",
                       0)  # fmt: skip
    reshape(folder / "turned_whole", {"x": "2,3", "y": "3,2", "double": "1"})
    turned(folder / "promised", FLOAT, ["batch"])
    networks.configure(folder / "promised", "x FP32 2,-1; s FP32 1", "y FP32 6; double FP32 1",
                       8, PATIENT)  # fmt: skip
    reshape(folder / "promised", {"s": "", "y": "3,2", "double": ""})
    turned(folder / "half_guessed", FLOAT, ["batch"])
    (folder / "half_guessed" / "config.pbtxt").write_text(
        'name: "half_guessed" backend: "onnxruntime" max_batch_size: 4 '
        'input { name: "x" data_type: TYPE_FP32 dims: [6] reshape { shape: [2, 3] } }'
    )
    names = sorted(path.name for path in folder.iterdir())
    with EmbeddedTriton(folder, names, auto_complete=True, startup_timeout_s=120) as running:
        yield running


def address(served: EmbeddedTriton, protocol: TransportName) -> str:
    return served.http_url if protocol == "http" else served.grpc_url


def numbers(rows: int, seed: int = 0) -> np.ndarray:
    """Return (rows, 3) bfloat16 of which the last row is infinite, -0 and not a number."""
    given = (np.random.default_rng(seed).standard_normal((rows, 3)) * 100).astype(BF16)
    given[-1] = [np.inf, -0.0, np.nan]
    return given


def times_three(given: np.ndarray, shift: float = 0.5) -> np.ndarray:
    return (given.astype(np.float32) * np.float32(3) + np.float32(shift)).astype(BF16)


def same_bits(got: np.ndarray, wanted: np.ndarray) -> bool:
    nan = np.isnan(wanted.astype(np.float32))
    return (
        got.dtype == wanted.dtype == BF16
        and got.shape == wanted.shape
        and np.array_equal(np.isnan(got.astype(np.float32)), nan)
        and np.array_equal(got.view(np.uint16)[~nan], wanted.view(np.uint16)[~nan])
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("memory", [False, True], ids=["sent", "shared_memory"])
@pytest.mark.parametrize("model", ["rows", "whole", "guessed"])
def test_bfloat16_comes_and_goes_and_is_rounded_once(
    served: EmbeddedTriton, model: str, memory: bool, protocol: TransportName
) -> None:
    given = numbers(4)
    with Client(address(served, protocol), protocol, shared_memory=memory) as client:
        answer = client.infer(model, {"x": given})
        alone = client.infer(model, {"x": given}, outputs=["z"])
    assert same_bits(answer["y"], times_three(given))
    assert answer["same"].tobytes() == given.tobytes()
    np.testing.assert_array_equal(answer["z"], given.astype(np.float32))
    np.testing.assert_array_equal(alone["z"], given.astype(np.float32))


def test_a_session_and_a_coroutine_take_bfloat16_too(served: EmbeddedTriton) -> None:
    given = numbers(11)  # more than the model takes at once

    async def ask() -> np.ndarray:
        async with AsyncClient(served.grpc_url) as client:
            return (await client.infer("rows", {"x": given[:8]}))["y"]

    session = TritonSession(served.grpc_url, "rows")
    assert session.inputs[0].dtype == BF16
    assert same_bits(session.run({"x": given})["y"], times_three(given))
    assert same_bits(asyncio.run(ask()), times_three(given[:8]))


def test_an_array_without_an_element_passes(served: EmbeddedTriton) -> None:
    with Client(served.grpc_url) as client:
        answer = client.infer("whole", {"x": np.zeros((0, 3), BF16)})
    assert {name: (value.dtype, value.shape) for name, value in answer.items()} == {
        "y": (BF16, (0, 3)), "same": (BF16, (0, 3)), "z": (np.float32, (0, 3)),
    }  # fmt: skip


def test_a_bfloat16_input_with_a_default_may_be_left_out(served: EmbeddedTriton) -> None:
    given = numbers(3)
    with Client(served.grpc_url) as client:
        for feed, shift in (({}, 0.5), ({"shift": np.array([8], BF16)}, 8), ({}, 0.5)):
            answer = client.infer("whole", {"x": given, **feed})
            assert same_bits(answer["y"], times_three(given, shift))


def test_bfloat16_is_joined_and_divided_among_callers(served: EmbeddedTriton) -> None:
    requests = [numbers(1 + n % 2, seed=n) for n in range(30)]
    before = read_counters(served.http_url, "rows")
    with Client(served.grpc_url) as client, ThreadPoolExecutor(15) as pool:
        outputs = [["y"], ["z"], ["y", "same"]] * 10
        answers = list(
            pool.map(lambda x, o: client.infer("rows", {"x": x}, outputs=o), requests, outputs)
        )
    for given, asked, answer in zip(requests, outputs, answers, strict=True):
        assert sorted(answer) == sorted(asked)
        if "z" in answer:
            np.testing.assert_array_equal(answer["z"], given.astype(np.float32))
        if "y" in answer:
            assert same_bits(answer["y"], times_three(given))
        if "same" in answer:
            assert answer["same"].tobytes() == given.tobytes()
    assert executions(served, "rows", before, 45) < len(requests)


def executions(served: EmbeddedTriton, model: str, before: Any, rows: int) -> int:
    """Return in how many runs so many rows were answered, once Triton has counted them."""
    limit = time.monotonic() + 30
    while (counted := read_counters(served.http_url, model).since(before)).inferences < rows:
        assert time.monotonic() < limit, counted
        time.sleep(0.05)
    return int(counted.executions)


def test_text_and_bfloat16_come_together(served: EmbeddedTriton) -> None:
    given, words = numbers(2), np.array([["말"], ["b"]], object)
    with Client(served.grpc_url) as client:
        answer = client.infer("worded", {"x": given, "w": words})
    np.testing.assert_array_equal(answer["z"], given.astype(np.float32))
    assert [word.decode() for word in answer["v"].ravel()] == ["말", "b"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("wrong", [np.zeros((2, 4), BF16), np.zeros((2, 3), np.float32),
                                   np.zeros(3, BF16), np.zeros((2, 3), np.uint16)])  # fmt: skip
def test_what_is_not_the_declared_bfloat16_is_refused(
    served: EmbeddedTriton, wrong: np.ndarray, protocol: TransportName
) -> None:
    with Client(address(served, protocol), protocol) as client:
        with pytest.raises(InvalidRequest):
            client.infer("rows", {"x": wrong})
        assert client.ready("rows")


def test_bfloat16_is_completed_and_probed(served: EmbeddedTriton) -> None:
    with closing(InferenceServerClient(served.http_url)) as control:
        guessed = control.get_model_config("guessed")
    assert guessed["max_batch_size"] == 4
    kinds = {t["name"]: t["data_type"] for t in (*guessed["input"], *guessed["output"])}
    assert kinds == {"x": "TYPE_BF16", "y": "TYPE_BF16", "same": "TYPE_BF16", "z": "TYPE_FP32"}
    for name in ("rows", "turned_half"):
        text = (Path(served.model_repository) / name / "config.pbtxt").read_text()
        check_version(served.http_url, parse_config(text), 1, 30)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("model", "kind"), [("turned", np.float32), ("turned_half", BF16)])
def test_a_model_sees_its_own_shapes_and_a_caller_the_configured_ones(
    served: EmbeddedTriton, model: str, kind: Any, protocol: TransportName
) -> None:
    rng = np.random.default_rng(0)
    for rows, size in ((1, 3), (4, 5), (8, 1), (8, 20_000)):  # large memory is given back at once
        x = rng.standard_normal((rows, 2, size, 1)).astype(kind)
        x[-1, 0, 0, 0] = np.nan
        s = rng.standard_normal((rows, 1)).astype(np.float32)
        with Client(address(served, protocol), protocol) as client:
            answer = client.infer(model, {"x": x, "s": s})
        wanted = x[..., 0].transpose(0, 2, 1)[:, :, None]
        assert answer["y"].dtype == kind
        np.testing.assert_array_equal(
            answer["y"].astype(np.float32), wanted.astype(np.float32), strict=True
        )
        np.testing.assert_array_equal(answer["double"], (s + s)[:, :, None], strict=True)


def test_reshape_without_a_batch_axis(served: EmbeddedTriton) -> None:
    x = np.arange(6, dtype=np.float32)
    with Client(served.grpc_url) as client:
        answer = client.infer("turned_whole", {"x": x, "s": np.float32([4])})
    np.testing.assert_array_equal(answer["y"], x.reshape(2, 3).T.reshape(2, 3), strict=True)
    assert answer["double"].tolist() == [8]


def test_reshaped_requests_are_joined_and_one_that_breaks_the_promise_fails_alone(
    served: EmbeddedTriton,
) -> None:
    requests = [(1 + n % 2, 4 if n % 5 == 4 else 3) for n in range(20)]
    before = read_counters(served.http_url, "promised")

    def ask(n: int) -> dict[str, np.ndarray] | str:
        rows, size = requests[n]
        feeds = {
            "x": np.full((rows, 2, size), n, np.float32) + np.arange(size, dtype=np.float32),
            "s": np.full((rows, 1), n, np.float32),
        }
        try:
            return client.infer("promised", feeds)
        except InvalidRequest as error:
            return str(error)

    with Client(served.grpc_url) as client, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(len(requests))))
    for n, ((rows, size), answer) in enumerate(zip(requests, answers, strict=True)):
        if size == 4:
            assert "output y: expected [3, 2] to reshape, got [4, 2]" in answer
            continue
        assert not isinstance(answer, str), answer
        wanted = np.tile(np.float32([n, n, n + 1, n + 1, n + 2, n + 2]), (rows, 1))
        np.testing.assert_array_equal(answer["y"], wanted, strict=True)
        assert answer["double"].tolist() == [[2 * n]] * rows
    good = sum(rows for rows, size in requests if size == 3)
    assert executions(served, "promised", before, good) < len(requests)


def test_a_shape_other_than_the_configured_is_refused(served: EmbeddedTriton) -> None:
    s = np.ones((1, 1), np.float32)
    with Client(served.grpc_url) as client:
        for shape in ((1, 2, 3), (1, 3, 2, 1), (1, 2, 3, 2)):
            with pytest.raises(InvalidRequest, match="unexpected shape"):
                client.infer("turned", {"x": np.zeros(shape, np.float32), "s": s})
        with pytest.raises(InvalidRequest, match="unexpected shape"):
            client.infer("turned", {"x": np.zeros((1, 2, 3, 1), np.float32), "s": s[0]})


def test_what_a_reshaping_configuration_leaves_out_is_completed(served: EmbeddedTriton) -> None:
    with closing(InferenceServerClient(served.http_url)) as control:
        found = control.get_model_config("half_guessed")
    tensors = {t["name"]: t for t in (*found["input"], *found["output"])}
    shapes = {n: (t["dims"], t.get("reshape", {}).get("shape")) for n, t in tensors.items()}
    assert shapes == {
        "x": ([6], [2, 3]), "s": ([1], []), "y": ([-1, 2], None), "double": ([1], []),
    }  # fmt: skip
    x, s = np.arange(12, dtype=np.float32).reshape(2, 6), np.float32([[1], [2]])
    with Client(served.grpc_url) as client:
        answer = client.infer("half_guessed", {"x": x, "s": s})
    np.testing.assert_array_equal(answer["y"], x.reshape(2, 2, 3).transpose(0, 2, 1), strict=True)
    np.testing.assert_array_equal(answer["double"], s + s, strict=True)


@pytest.mark.parametrize(
    ("ins", "outs", "batch", "shapes", "message"),
    [
        pytest.param("x FP32 7; s FP32 1", "y FP32 6", 8, {"x": "2,3", "s": "", "y": "3,2"},
                     "model input 'x' .*reshape", id="count_in"),
        pytest.param("x FP32 6; s FP32 1", "y FP32 7", 8, {"x": "2,3", "s": "", "y": "3,2"},
                     "model output 'y' .*reshape", id="count_out"),
        pytest.param("x FP32 -1; s FP32 1", "y FP32 6", 8, {"x": "2,3", "s": "", "y": "3,2"},
                     "model input 'x' .*reshape", id="free_axes"),
        pytest.param("x FP32 6; s FP32 1", "y FP32 6", 8, {"x": "3,2", "s": "", "y": "3,2"},
                     r"input x: configured \[-1, 3, 2\] .* model has \[-1, 2, -1\]", id="graph"),
        pytest.param("x FP32 6; s FP32 1", "y FP32 6", 8, {"x": "2,3", "s": "", "y": "6"},
                     r"output y: configured \[-1, 6\] .* has \[-1, -1, 2\]", id="rank"),
        pytest.param("x FP32 -1,2,3; s FP32 1", "y FP32 -1,3,2", 0, {"s": ""},
                     "scalar tensors are not supported", id="scalar"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_when_the_model_is_loaded(
    served: EmbeddedTriton, request: pytest.FixtureRequest,
    ins: str, outs: str, batch: int, shapes: dict[str, str], message: str,
) -> None:  # fmt: skip
    model = Path(served.model_repository) / f"bad_{request.node.callspec.id}"
    turned(model, FLOAT, ["batch"])
    networks.configure(model, ins, outs, batch)
    reshape(model, shapes)
    with (
        closing(InferenceServerClient(served.http_url)) as control,
        pytest.raises(InferenceServerException, match=message),
    ):
        control.load_model(model.name)


def test_text_in_beside_bfloat16_out_is_refused(served: EmbeddedTriton) -> None:
    model = Path(served.model_repository) / "bad_words"
    worded(model, same=True)
    networks.configure(model, "x BF16 3; w STRING 1", "same BF16 3", 4)
    message = "same.data_type TYPE_BF16 beside inputs of TYPE_STRING"
    with (
        closing(InferenceServerClient(served.http_url)) as control,
        pytest.raises(InferenceServerException, match=message),
    ):
        control.load_model("bad_words")
