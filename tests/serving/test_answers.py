"""What the server answers: the same as ONNX Runtime in process, and each request for itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.benchmark.counters import read_counters
from vigil.errors import InputError, InvalidRequest, ModelNotFound
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession

PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


def connect(server: EmbeddedTriton, model: str, protocol: TransportName) -> TritonSession:
    url = server.http_url if protocol == "http" else server.grpc_url
    return TritonSession(url, model, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers_equal_in_process_at_every_batch_size_under_concurrency(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    local = OnnxSession(repository / "patient" / "1" / "model.onnx")
    served = connect(server, "patient", protocol)
    requests = [networks.clips(1 + n % 8, seed=n) for n in range(80)]
    before = read_counters(server.http_url, "patient")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(served.run, requests))
    for request, answer in zip(requests, answers, strict=True):
        for name, expected in local.run(request).items():
            assert answer[name].shape == expected.shape
            np.testing.assert_allclose(answer[name], expected, atol=1e-5)
    asked = sum(len(request["image_size"]) for request in requests)
    limit = time.monotonic() + 60  # Triton counts a request a moment after its answer is out
    while (counted := read_counters(server.http_url, "patient").since(before)).inferences < asked:
        assert time.monotonic() < limit, counted
        time.sleep(0.05)
    assert counted.inferences == asked
    assert counted.executions < len(requests), "requests were never batched: nothing was proved"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_session_splits_what_is_larger_than_the_model_takes(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    request = networks.clips(19)
    answer = connect(server, "tiny", protocol).run(request)
    expected = OnnxSession(repository / "tiny" / "1" / "model.onnx").run(request)
    np.testing.assert_allclose(answer["logits"], expected["logits"], atol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_bad_request_in_a_batch_fails_alone(
    server: EmbeddedTriton, protocol: TransportName
) -> None:
    served = connect(server, "lookup", protocol)
    indices = [2, 1, 99, 3, 0, 77, 1, 2] * 4

    def ask(index: int) -> float | str:
        try:
            return float(served.run({"x": np.array([[index]])})["y"][0, 0])
        except InvalidRequest as error:
            return str(error)

    before = read_counters(server.http_url, "lookup")
    with ThreadPoolExecutor(len(indices)) as pool:
        answers = list(pool.map(ask, indices))
    for index, answer in zip(indices, answers, strict=True):
        if index < 4:
            assert answer == index
        else:
            assert "out of data bounds" in str(answer)
            assert "\n" not in str(answer)
    counted = read_counters(server.http_url, "lookup").since(before)
    assert counted.executions < len(indices), "requests were never batched: nothing was proved"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_session_reads_what_the_server_declares(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    served = connect(server, "tiny", protocol)
    local = OnnxSession(repository / "tiny" / "1" / "model.onnx")
    assert served.inputs == local.inputs
    assert served.outputs == local.outputs
    assert served.metadata["labels"] == local.metadata["labels"]
    assert served.provider == "triton:onnxruntime"
    assert served.max_batch == 8


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_errors_are_told_apart_by_cause(server: EmbeddedTriton, protocol: TransportName) -> None:
    with pytest.raises(ModelNotFound, match="nobody"):
        connect(server, "nobody", protocol)
    served = connect(server, "tiny", protocol)
    with pytest.raises(InputError, match=r"tiny: expected keypoints float32 \(\*, 2, 4, 17, 3\)"):
        served.run({"keypoints": np.zeros((1, 2, 5, 17, 3), np.float32),
                    "image_size": np.ones((1, 2), np.float32)})  # fmt: skip
    served.max_batch = 100  # a client that overlooks the limit hears of it from the server
    with pytest.raises(InvalidRequest, match="batch-size must be <= 8"):
        served.run(networks.clips(9))


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        pytest.param("FP64", np.array([[0.1, -1e300, np.inf]]), id="FP64"),
        pytest.param("UINT8", np.array([[0, 1, 255], [7, 8, 9]], np.uint8), id="UINT8"),
        pytest.param("STRING", np.array([["a", "폭행", ""]], object), id="STRING"),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_come_back_as_they_went(
    server: EmbeddedTriton, protocol: TransportName, kind: str, sent: np.ndarray
) -> None:
    got = connect(server, f"echo_{kind}", protocol).run({"x": sent})["y"]
    if kind == "STRING":
        got = np.array([[value.decode() for value in row] for row in got], object)
    assert got.dtype == sent.dtype
    np.testing.assert_array_equal(got, sent)
