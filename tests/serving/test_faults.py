"""Faults and bad input: a clear answer, the server up, the last good model serving.

The matrix of `docs/reliability.md`. Each test ends with `well`: the model still answers, right.
"""

from __future__ import annotations

import http.client
import json
import resource
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tests import networks
from vigil.errors import ModelError
from vigil.serving.control import Control
from vigil.serving.repository import read_config
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession

pytestmark = pytest.mark.slow
MODEL = "tiny"
REFUSED = (400, 500)  # Triton 2.51 calls what it cannot parse its own error
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture(scope="module")
def files() -> Iterator[int]:
    """As many open files as may be, for this process and the server that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 1 << 14 if hard == resource.RLIM_INFINITY else min(hard, 1 << 14)
    most = max(soft, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: int) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("faults")
    networks.recognizer_model(folder)
    with EmbeddedTriton(folder, [MODEL]) as running:
        yield running


@pytest.fixture(scope="module")
def right(server: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory) -> OnnxSession:
    path = tmp_path_factory.mktemp("right") / "model.onnx"
    shutil.copy(server.model_repository / MODEL / "1" / "model.onnx", path)
    return OnnxSession(path)


@pytest.fixture(autouse=True)
def well(server: EmbeddedTriton, right: OnnxSession) -> Iterator[None]:
    """After every fault the server lives and the model answers right over both protocols."""
    yield
    assert server.running
    request = networks.clips(3)
    protocols: tuple[TransportName, ...] = ("http", "grpc")
    for protocol in protocols:
        given = TritonSession(getattr(server, f"{protocol}_url"), MODEL, protocol).run(request)
        np.testing.assert_allclose(given["logits"], right.run(request)["logits"], atol=1e-4)


def post(server: EmbeddedTriton, body: bytes, **headers: str) -> tuple[int, str]:
    """Send a body as it is."""
    with closing(http.client.HTTPConnection(server.http_url, timeout=600)) as connection:
        connection.request("POST", INFER, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def request(rows: int = 1) -> dict[str, Any]:
    """Return a good request in JSON."""
    return {
        "inputs": [
            {"name": name, "datatype": "FP32", "shape": list(array.shape),
             "data": array.ravel().tolist()}
            for name, array in networks.clips(rows).items()
        ]
    }  # fmt: skip


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    body = request()
    change(body)
    return json.dumps(body).encode()


def wrong_input_name(body: dict[str, Any]) -> None:
    body["inputs"][0]["name"] = "pixels"


def wrong_output_name(body: dict[str, Any]) -> None:
    body["outputs"] = [{"name": "scores"}]


def wrong_shape(body: dict[str, Any]) -> None:
    body["inputs"][1].update(shape=[1, 3], data=[1, 2, 3])


def shape_without_data(body: dict[str, Any]) -> None:
    body["inputs"][1]["data"] = [1]


def negative_shape(body: dict[str, Any]) -> None:
    body["inputs"][1]["shape"] = [-1, 2]


def wrong_dtype(body: dict[str, Any]) -> None:
    body["inputs"][1].update(datatype="INT64", data=[640, 360])


def missing_input(body: dict[str, Any]) -> None:
    body["inputs"].pop()


def unequal_batches(body: dict[str, Any]) -> None:
    body["inputs"][1].update(shape=[2, 2], data=[1, 2, 3, 4])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (wrong_input_name, "pixels"),
        (wrong_output_name, "scores"),
        (wrong_shape, "image_size"),
        (shape_without_data, "data"),
        (negative_shape, "shape"),
        (wrong_dtype, "image_size"),
        (missing_input, "expected 2 inputs"),
        (unequal_batches, "batch"),
    ],
)
def test_a_wrong_name_shape_or_type_is_named(
    server: EmbeddedTriton, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    status, answer = post(server, changed(change))
    assert status in REFUSED
    assert words in json.loads(answer)["error"]


def test_a_batch_over_the_maximum_is_refused(server: EmbeddedTriton) -> None:
    status, answer = post(server, json.dumps(request(9)).encode())
    assert status == 400
    assert "batch-size must be <= 8" in answer


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_are_no_numbers_stay_with_their_row(
    server: EmbeddedTriton, right: OnnxSession, value: float
) -> None:
    rows = networks.clips(4)
    wanted = right.run(rows)["logits"]
    rows["keypoints"][2] = value
    given = TritonSession(server.http_url, MODEL, "http").run(rows)["logits"]
    np.testing.assert_allclose(given[[0, 1, 3]], wanted[[0, 1, 3]], atol=1e-4)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"inputs": 3}', b'{"inputs": [{}]}', b"\xff" * 1000,
     b'{"inputs": [{"name": "keypoints", "shape": ["a"], "datatype": "FP32", "data": [1]}]}',
     b"[" * 5_000],
    ids=["empty", "cut", "list", "null", "number", "no name", "bytes", "shape", "nested"],
)  # fmt: skip
def test_malformed_json_is_refused(server: EmbeddedTriton, body: bytes) -> None:
    status, answer = post(server, body)
    assert status in REFUSED
    assert json.loads(answer)["error"]


def test_a_header_that_lies_about_the_json_is_refused(server: EmbeddedTriton) -> None:
    body = json.dumps(request()).encode()
    for size in ("5", "999999", "-1", "much"):
        status, answer = post(server, body, **{"Inference-Header-Content-Length": size})
        assert status >= 400, answer


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\x7f", b"{}", b"\x00" * 64])
def test_a_malformed_protobuf_is_refused(server: EmbeddedTriton, body: bytes) -> None:
    with grpc.insecure_channel(server.grpc_url) as channel:
        infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            infer(body, timeout=120)
    assert caught.value.code() is not grpc.StatusCode.UNAVAILABLE
    assert caught.value.details()


def test_a_protobuf_whose_contents_do_not_fit_its_shapes_is_refused(
    server: EmbeddedTriton,
) -> None:
    message = service_pb2.ModelInferRequest(model_name=MODEL)
    for name, shape in (("keypoints", [1, 2, 4, 17, 3]), ("image_size", [1, 2])):
        message.inputs.add(name=name, datatype="FP32", shape=shape)
        message.raw_input_contents.append(b"\x00" * 7)
    with grpc.insecure_channel(server.grpc_url) as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
        )
        with pytest.raises(grpc.RpcError) as caught:
            infer(message, timeout=120)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_body_of_64_mb_is_refused_and_forgotten(server: EmbeddedTriton) -> None:
    body = request()
    body["inputs"][0]["data"] = [0] * 32_000_000  # 64 MB of text
    status, answer = post(server, json.dumps(body, separators=(",", ":")).encode())
    assert status in REFUSED
    assert json.loads(answer)["error"]


def test_a_thousand_connections_at_once_do_not_shut_others_out(
    server: EmbeddedTriton, files: int
) -> None:
    """Fewer where this machine lets a process open fewer files."""
    host, port = server.http_url.split(":")
    count = min(1000, files - len(list(Path("/proc/self/fd").iterdir())) - 200)
    assert count > 100, f"expected to open more than 300 files, got {files}"
    lines = [socket.create_connection((host, int(port)), timeout=60) for _ in range(count)]
    try:
        for line in lines:
            line.sendall(b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 9")
        status, _ = post(server, json.dumps(request()).encode())
        assert status == 200
    finally:
        for line in lines:
            line.close()


def test_clients_that_leave_mid_request_harm_nobody(server: EmbeddedTriton) -> None:
    host, port = server.http_url.split(":")
    body = json.dumps(request(8)).encode()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def leave(part: int) -> None:
        with socket.create_connection((host, int(port)), timeout=60) as line:
            line.sendall((head + body)[: len(head) + part * len(body) // 10])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(leave, [n % 11 for n in range(200)]))


def test_a_model_deleted_under_the_server_keeps_answering(server: EmbeddedTriton) -> None:
    folder, control = server.model_repository / MODEL, Control(server.http_url)
    away = folder.with_name("away")
    folder.rename(away)
    try:
        status, _ = post(server, json.dumps(request()).encode())
        assert status == 200, "what is loaded needs no file"
        with pytest.raises(ModelError, match="expected the server to load it"):
            control.load(MODEL)
        status, _ = post(server, json.dumps(request()).encode())
        assert status == 200, "a failed load takes nothing away"
    finally:
        away.rename(folder)


@pytest.mark.parametrize("content", [b"", b"no network", None], ids=["empty", "junk", "cut"])
def test_a_corrupt_network_in_a_new_version_leaves_the_old_one(
    server: EmbeddedTriton, content: bytes | None
) -> None:
    folder, control = server.model_repository / MODEL, Control(server.http_url)
    whole = (folder / "1" / "model.onnx").read_bytes()
    config = read_config(folder)
    config.version_policy.specific.versions.append(2)
    (folder / "2").mkdir()
    try:
        (folder / "2" / "model.onnx").write_bytes(whole[:-200] if content is None else content)
        with pytest.raises(ModelError, match=r"2/model\.onnx"):
            control.load(MODEL, config)
        assert control.ready() == {MODEL: [1]}
    finally:
        shutil.rmtree(folder / "2")


def test_loads_that_cross_each_other_and_requests_lose_nothing(server: EmbeddedTriton) -> None:
    control, stop, failures = Control(server.http_url), threading.Event(), []

    def ask() -> None:
        session = TritonSession(server.grpc_url, MODEL)
        while not stop.is_set():
            try:
                session.run(networks.clips(2))
            except Exception as error:
                failures.append(repr(error))

    def reload(turn: int) -> None:
        config = read_config(server.model_repository / MODEL)
        config.parameters["turn"].string_value = str(turn)
        control.load(MODEL, config)

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reload, range(8)))
    stop.set()
    for caller in callers:
        caller.join()
    assert failures == []
    assert control.ready() == {MODEL: [1]}


def test_the_address_of_a_model_cannot_leave_the_repository(
    server: EmbeddedTriton, tmp_path: Path
) -> None:
    networks.recognizer_model(tmp_path, "outside")
    control = Control(server.http_url)
    for name in ("../outside", "..", "../../etc", f"{tmp_path}/outside", ""):
        with pytest.raises((ModelError, ValueError)):
            control.load(name)
    assert control.ready() == {MODEL: [1]}
