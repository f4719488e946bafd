"""The recognizer client: skeletons in, labelled probabilities out, errors by cause."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.errors import DeadlineExceeded, InputError, ModelError, ModelNotFound, ServerUnavailable
from vigil.serving.client import RecognizerClient
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName, TritonSession, triton_error

PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_the_probabilities_of_every_clip(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    url = server.http_url if protocol == "http" else server.grpc_url
    client = RecognizerClient(url, protocol, "tiny")
    request = networks.clips(5)
    predictions = client.predict(**request)
    expected = OnnxSession(repository / "tiny" / "1" / "model.onnx").run(request)["probabilities"]
    assert client.labels == ["normal", "assault", "faint"]
    assert len(predictions) == 5
    for prediction, row in zip(predictions, expected, strict=True):
        assert list(prediction.probabilities) == client.labels
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=1e-5)
        assert prediction.label == client.labels[int(row.argmax())]


def test_a_model_without_labels_is_no_recognizer(server: EmbeddedTriton) -> None:
    with pytest.raises(ModelError, match="mlp: expected parameter `labels`"):
        RecognizerClient(server.grpc_url, "grpc", "mlp")


def test_refuses_skeletons_of_another_shape(server: EmbeddedTriton) -> None:
    client = RecognizerClient(server.grpc_url, "grpc", "tiny")
    with pytest.raises(InputError, match=r"got float32 \(2, 4, 17, 3\)"):
        client.predict(np.zeros((2, 4, 17, 3), np.float32), np.ones((1, 2), np.float32))
    with pytest.raises(InputError, match=r"one batch size, got \[1, 2\]"):
        client.predict(np.zeros((2, 2, 4, 17, 3), np.float32), np.ones((1, 2), np.float32))


@pytest.mark.slow
def test_clients_outlive_what_happens_to_model_and_server(tmp_path: Path) -> None:
    import tritonclient.http

    networks.recognizer_model(tmp_path)
    request = networks.clips(1)
    with EmbeddedTriton(tmp_path, models=["tiny"]) as server:
        urls = {"http": server.http_url, "grpc": server.grpc_url}
        clients = {protocol: RecognizerClient(urls[protocol], protocol, "tiny")
                   for protocol in PROTOCOLS}  # fmt: skip
        expected = clients["grpc"].predict(**request)
        control = tritonclient.http.InferenceServerClient(server.http_url)
        control.unload_model("tiny")
        for protocol, client in clients.items():
            with pytest.raises(ModelNotFound, match="tiny at"):
                RecognizerClient(urls[protocol], protocol, "tiny")
            with pytest.raises(ModelNotFound, match="tiny at"):
                client.predict(**request)
        control.load_model("tiny")
        control.close()
        assert clients["http"].predict(**request) == expected
    for protocol, client in clients.items():
        with pytest.raises(ServerUnavailable, match=f"tiny at {protocol}://{urls[protocol]}: "):
            client.predict(**request)
    ports = {f"{name}_port": int(url.rsplit(":", 1)[1]) for name, url in urls.items()}
    with EmbeddedTriton(tmp_path, **ports):
        for client in clients.values():
            assert client.predict(**request) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_keeps_silent_runs_into_the_deadline(protocol: TransportName) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        accept = threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True)
        accept.start()
        url = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DeadlineExceeded, match=rf"tiny at {protocol}://{url}"):
            TritonSession(url, "tiny", protocol, timeout_s=0.3)
        accept.join(2)
        for connection in held:
            connection.close()


def test_a_failure_of_the_server_itself_stays_a_plain_server_error() -> None:
    error = triton_error("tiny at http://x", RuntimeError("stub is\nnot healthy"))
    assert type(error).__name__ == "ServerError"
    assert str(error) == "tiny at http://x: stub is not healthy"
