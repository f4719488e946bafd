"""Who may come through the deployed proxy, and to what: asked over real TLS, before Triton."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests import networks
from tests.deploy.doors import (
    ADMIN,
    BEARER,
    INFER,
    TOKEN,
    Proxy,
    RestrictedTriton,
    ask,
    code,
    get,
)
from vigil.serving.client import AsyncClient, Client
from vigil.session import TransportName

PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_with_a_token_the_answer_is_that_of_the_server_itself(
    proxy: Proxy, triton: RestrictedTriton, protocol: TransportName
) -> None:
    feeds = networks.clips(5)
    direct = triton.http_url if protocol == "http" else triton.grpc_url
    with Client(direct, protocol) as near:
        wanted = near.infer("tiny", feeds)
    with Client(proxy.url, protocol, headers=BEARER, tls=proxy.certificate) as far:
        assert far.ready()
        assert far.ready("tiny")
        found = far.infer("tiny", feeds)
        (row, *_) = far.classify("tiny", feeds, top=1)
    assert row[0].label in {"normal", "assault", "faint"}

    async def again() -> dict[str, np.ndarray]:
        async with AsyncClient(
            proxy.url, protocol, headers=BEARER, tls=proxy.certificate
        ) as client:
            assert await client.ready("tiny")
            return await client.infer("tiny", feeds)

    for answer in (found, asyncio.run(again())):
        assert list(answer) == list(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(answer[name], array)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"},
     {"authorization": "Bearer "}, {"authorization": TOKEN}],
    ids=["none", "wrong", "not a bearer", "empty", "bare"],
)  # fmt: skip
def test_without_a_known_token_nothing_is_answered(
    proxy: Proxy, channel: grpc.Channel, headers: dict[str, str]
) -> None:
    for path in ("/v2/health/ready", "/v2/models/tiny", "/v2/repository/index"):
        status, found, told = ask(proxy, "GET", path, **headers)
        assert (status, told["www-authenticate"]) == (401, "Bearer")
        assert "bearer token" in found["error"]
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    metadata = tuple(headers.items())
    for call, request in ((stub.ServerLive, service_pb2.ServerLiveRequest()),
                          (stub.ModelInfer, service_pb2.ModelInferRequest())):  # fmt: skip
        assert code(call, request, metadata=metadata) == "UNAUTHENTICATED"


@pytest.mark.parametrize("tokens", [("wrong", TOKEN), (TOKEN, "wrong")], ids=["last", "first"])
def test_a_second_token_in_one_request_is_refused(proxy: Proxy, tokens: tuple[str, str]) -> None:
    named = "".join(f"authorization: Bearer {token}\r\n" for token in tokens)
    with proxy.connect() as line:
        line.sendall(f"GET /v2/health/ready HTTP/1.1\r\nhost: localhost\r\n{named}\r\n".encode())
        assert line.recv(64).startswith(b"HTTP/1.1 401")


def test_the_server_sees_neither_token_nor_keys_of_clients(tmp_path: Path) -> None:
    seen: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers}".lower())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        url = f"127.0.0.1:{listener.server_port}"
        with Proxy(tmp_path, url, url) as proxy:
            keys = {"x_vigil_admin": ADMIN, "triton_grpc_protocol_x_vigil_admin": ADMIN}
            assert (
                ask(proxy, "GET", "/v2/models/tiny", **BEARER, **keys, traceparent="00-1")[0] == 200
            )
        listener.shutdown()
    (asked,) = [text for text in seen if text.startswith("/v2/models/tiny")]
    assert "traceparent: 00-1" in asked
    for hidden in (TOKEN, ADMIN, "authorization", "admin"):
        assert hidden not in asked


def test_nothing_is_answered_without_tls(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as line:
        line.sendall(
            f"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        assert b"HTTP/1.1 200" not in line.recv(200)
    with grpc.insecure_channel(proxy.url) as plain:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(plain)
        request, metadata = service_pb2.ServerLiveRequest(), tuple(BEARER.items())
        assert code(stub.ServerLive, request, metadata=metadata) == "UNAVAILABLE"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(proxy.certificate)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as line,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        old.wrap_socket(line, server_hostname="localhost")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/tiny/unload"),
     ("POST", "/v2/repository/models/tiny/load"), ("GET", "/v2/models/tiny/stats"),
     ("GET", "/v2/models/stats"), ("GET", "/v2/systemsharedmemory/status"),
     ("POST", "/v2/systemsharedmemory/region/x/register"), ("GET", "/v2/cudasharedmemory/status"),
     ("GET", "/v2/trace/setting"), ("POST", "/v2/logging"), ("GET", "/metrics"),
     ("POST", "/v2/models/tiny/generate"), ("POST", "/v2/models/tiny/trace/setting"),
     ("GET", "/v2/models/tiny/../../repository/index"), ("GET", "//v2/models/tiny/stats"),
     ("GET", "/v2/models/tiny/%73tats"), ("GET", "/v2/models/tiny/stats?/ready"), ("GET", "/")],
)  # fmt: skip
def test_endpoints_that_are_not_for_clients_are_refused(
    proxy: Proxy, method: str, path: str
) -> None:
    key = {"x_vigil_admin": ADMIN}
    status, found, _ = ask(proxy, method, path, b"{}", **BEARER, **key)
    assert (status, found) == (403, {"error": "this endpoint is not for clients"})


def test_reading_is_by_get_and_inference_by_post(proxy: Proxy) -> None:
    assert ask(proxy, "DELETE", "/v2/models/tiny", **BEARER)[0] == 405
    assert ask(proxy, "PUT", INFER, b"{}", **BEARER)[0] == 405
    assert ask(proxy, "GET", "/v2/models/tiny/versions/1/config", **BEARER)[0] == 200


def test_calls_that_are_not_for_clients_are_refused(channel: grpc.Channel) -> None:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    key = (*BEARER.items(), ("triton-grpc-protocol-x-vigil-admin", ADMIN))
    for call, request in (
        (stub.RepositoryIndex, service_pb2.RepositoryIndexRequest()),
        (stub.RepositoryModelUnload, service_pb2.RepositoryModelUnloadRequest(model_name="tiny")),
        (stub.SystemSharedMemoryStatus, service_pb2.SystemSharedMemoryStatusRequest()),
        (stub.ModelStatistics, service_pb2.ModelStatisticsRequest(name="tiny")),
        (stub.TraceSetting, service_pb2.TraceSettingRequest()),
        (stub.LogSettings, service_pb2.LogSettingsRequest()),
    ):
        assert code(call, request, metadata=key) == "PERMISSION_DENIED"


def test_the_server_itself_keeps_them_for_those_with_the_admin_key(
    triton: RestrictedTriton,
) -> None:
    url = f"http://{triton.http_url}"
    assert get(f"{url}/v2/models/tiny/stats")[0] != 200
    assert get(f"{url}/v2/systemsharedmemory/status")[0] != 200
    client = tritonclient.grpc.InferenceServerClient(triton.grpc_url)
    with closing(client):
        with pytest.raises(Exception, match="restricted"):
            client.get_model_repository_index()
        key = {"triton-grpc-protocol-x-vigil-admin": ADMIN}
        index = client.get_model_repository_index(headers=key).models
        assert {model.name: model.state for model in index}["tiny"] == "READY"
    line = http.client.HTTPConnection(triton.http_url, timeout=60)
    with closing(line):
        line.request("GET", "/v2/models/tiny/stats", headers={"x-vigil-admin": ADMIN})
        assert line.getresponse().status == 200
