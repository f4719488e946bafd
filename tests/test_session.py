"""Sessions: named arrays in, named arrays out, and clear words for what does not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.errors import InputError, ModelError, ServerUnavailable
from vigil.session import OnnxSession, TensorSpec, TritonSession, cuda_devices


@pytest.fixture
def session(tmp_path: Path) -> OnnxSession:
    return OnnxSession(networks.mlp(tmp_path / "mlp.onnx"))


def batch(rows: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(rows).standard_normal((rows, width), np.float32)


def test_declares_inputs_outputs_and_metadata(session: OnnxSession) -> None:
    assert session.inputs == (TensorSpec("x", np.dtype("float32"), (None, 8)),)
    assert session.outputs == (TensorSpec("y", np.dtype("float32"), (None, 8)),)
    assert session.metadata == {"origin": "test"}


def test_runs_any_batch_when_the_batch_axis_is_dynamic(session: OnnxSession) -> None:
    x = batch(5)
    together = session.run({"x": x})["y"]
    alone = np.concatenate([session.run({"x": x[i : i + 1]})["y"] for i in range(5)])
    assert together.shape == (5, 8)
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_batches_a_model_whose_batch_axis_is_fixed_at_one(tmp_path: Path, rows: int) -> None:
    fixed = OnnxSession(networks.mlp(tmp_path / "fixed.onnx", batch=1))
    free = OnnxSession(networks.mlp(tmp_path / "free.onnx"))
    x = batch(rows)
    answer = fixed.run({"x": x})["y"]
    assert answer.shape == (rows, 8)
    np.testing.assert_allclose(answer, free.run({"x": x})["y"], atol=1e-6)


def test_refuses_another_batch_than_one_that_is_fixed_above_one(tmp_path: Path) -> None:
    fixed = OnnxSession(networks.mlp(tmp_path / "three.onnx", batch=3))
    assert fixed.run({"x": batch(3)})["y"].shape == (3, 8)
    with pytest.raises(InputError, match=r"expected x float32 \(3, 8\), got .*\(2, 8\)"):
        fixed.run({"x": batch(2)})


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        pytest.param({}, r"expected inputs \['x'\], got \[\]", id="missing input"),
        pytest.param({"x": batch(1), "z": batch(1)}, r"got \['x', 'z'\]", id="unknown input"),
        pytest.param({"x": batch(1).astype(np.float64)}, "got float64", id="other dtype"),
        pytest.param({"x": batch(1, 9)}, r"expected x float32 \(\*, 8\), got", id="other size"),
        pytest.param({"x": batch(1)[0]}, r"got float32 \(8,\)", id="no batch axis"),
        pytest.param({"x": batch(1)[:0]}, "at least one row", id="empty batch"),
        pytest.param({"x": batch(1).tolist()}, "got list", id="not an array"),
    ],
)
def test_refuses_feeds_that_do_not_fit(
    session: OnnxSession, feeds: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        session.run(feeds)


def test_inputs_of_a_split_batch_must_agree_on_its_size(tmp_path: Path) -> None:
    path = networks.recognizer(tmp_path / "one.onnx", batch=1)
    feeds = networks.clips(2) | {"image_size": np.ones((3, 2), np.float32)}
    with pytest.raises(InputError, match=r"one batch size, got \[2, 3\]"):
        OnnxSession(path).run(feeds)


@pytest.mark.parametrize("content", [None, b"", b"not a network"])
def test_refuses_a_file_that_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"bad\.onnx: expected"):
        OnnxSession(path)


def test_a_failure_inside_the_graph_is_one_line(tmp_path: Path) -> None:
    session = OnnxSession(networks.lookup(tmp_path / "lookup.onnx", rows=4))
    with pytest.raises(ModelError, match=r"lookup\.onnx: inference failed") as caught:
        session.run({"x": np.array([[9]])})
    assert "\n" not in str(caught.value)


def test_says_which_provider_is_active_and_cuda_is_not_claimed_in_vain(tmp_path: Path) -> None:
    path = networks.mlp(tmp_path / "mlp.onnx")
    expected = "CUDAExecutionProvider" if cuda_devices() else "CPUExecutionProvider"
    assert OnnxSession(path).provider == expected
    assert OnnxSession(path, device="cpu").provider == "CPUExecutionProvider"
    if not cuda_devices():
        with pytest.raises(ModelError, match="expected CUDAExecutionProvider, got CPU"):
            OnnxSession(path, device="cuda")


def test_threads_may_share_a_session(session: OnnxSession) -> None:
    inputs = [batch(rows) for rows in range(1, 17)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda x: session.run({"x": x})["y"], inputs))
    for x, answer in zip(inputs, answers, strict=True):
        np.testing.assert_array_equal(answer, session.run({"x": x})["y"])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_is_not_there_is_named(protocol: str) -> None:
    with pytest.raises(ServerUnavailable, match=rf"tiny at {protocol}://127\.0\.0\.1:1: "):
        TritonSession("127.0.0.1:1", "tiny", protocol)  # type: ignore[arg-type]
