"""The deployed proxy's rules, asked over real TLS, before a real Triton."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests import networks
from tests.deploy.doors import (
    ADMIN,
    BODY_BYTES,
    OTHER,
    TOKEN,
    Proxy,
    RestrictedTriton,
    get,
    write_tokens,
)
from vigil.errors import ServerError
from vigil.serving.client import AsyncClient, Client
from vigil.session import TransportName

PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")
BEARER = {"authorization": f"Bearer {TOKEN}"}
INFER = "/v2/models/tiny/infer"


def ask(
    proxy: Proxy, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, JSON body and headers of one request over HTTPS."""
    line = http.client.HTTPSConnection("localhost", proxy.port, timeout=10, context=proxy.tls)
    with closing(line):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        line.request(method, path, body, named)
        answer = line.getresponse()
        content = answer.read()
        found = json.loads(content) if content else {}
        return answer.status, found, {k.lower(): v for k, v in answer.getheaders()}


@pytest.fixture
def channel(proxy: Proxy) -> Iterator[grpc.Channel]:
    """A gRPC channel to the proxy."""
    trusted = grpc.ssl_channel_credentials(proxy.certificate.read_bytes())
    with grpc.secure_channel(proxy.url, trusted) as opened:
        yield opened


def code(call: Any, request: Any, **options: Any) -> str:
    """Return the status that a gRPC call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=10, **options)
    return str(caught.value.code().name)


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


def test_a_second_token_in_one_request_is_refused(proxy: Proxy) -> None:
    with proxy.connect() as line:
        line.sendall(
            b"GET /v2/health/ready HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer wrong\r\n"
            + f"authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        assert line.recv(64).startswith(b"HTTP/1.1 401")


def test_nothing_is_answered_without_tls(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as line:
        line.sendall(f"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert b"HTTP/1.1 200" not in line.recv(200)
    with grpc.insecure_channel(proxy.url) as plain:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(plain)
        request, metadata = service_pb2.ServerLiveRequest(), tuple(BEARER.items())
        assert code(stub.ServerLive, request, metadata=metadata) == "UNAVAILABLE"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(proxy.certificate)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as line,
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
        assert len(client.get_model_repository_index(headers=key).models) == 1
    line = http.client.HTTPConnection(triton.http_url, timeout=5)
    with closing(line):
        line.request("GET", "/v2/models/tiny/stats", headers={"x-vigil-admin": ADMIN})
        assert line.getresponse().status == 200


def test_a_request_that_is_too_large_is_refused_before_it_is_read(
    proxy: Proxy, channel: grpc.Channel
) -> None:
    with proxy.connect() as line:
        line.sendall(f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
                     f"content-length: {BODY_BYTES + 1}\r\n\r\n".encode())  # fmt: skip
        assert line.recv(64).startswith(b"HTTP/1.1 413")
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    metadata = tuple(BEARER.items())
    ends = {code(call, bytes(BODY_BYTES + 1), metadata=metadata) for _ in range(3)}
    assert ends <= {"RESOURCE_EXHAUSTED", "CANCELLED"}  # the proxy's answer, or its reset behind it
    assert code(call, b"\xff" * BODY_BYTES, metadata=metadata) == "INTERNAL"  # the server read it


def test_requests_of_hidden_size_are_refused(proxy: Proxy, channel: grpc.Channel) -> None:
    with proxy.connect() as line:
        line.sendall(f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
                     "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".encode())
        assert line.recv(64).startswith(b"HTTP/1.1 411")
    assert ask(proxy, "POST", INFER, b"{}", **BEARER, content_encoding="gzip")[0] == 415
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    packed = {"metadata": tuple(BEARER.items()), "compression": grpc.Compression.Gzip}
    assert code(call, bytes(10_000), **packed) == "UNIMPLEMENTED"


@pytest.mark.slow
def test_slow_clients_are_cut_off_while_others_are_served(proxy: Proxy) -> None:
    begin = f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
    ended: list[float] = []

    def drip(text: str) -> None:
        start = time.monotonic()
        with proxy.connect() as line:
            line.sendall(text.encode())
            line.settimeout(0.3)
            while time.monotonic() - start < 20:
                try:
                    if not line.recv(1000):
                        break
                except TimeoutError:
                    try:
                        line.sendall(b"a")
                    except OSError:
                        break
                except OSError:
                    break
        ended.append(time.monotonic() - start)

    heads = [f"{begin}x-slow: ", f"{begin}content-length: 5000\r\n\r\n", "GET /v2"]
    threads = [threading.Thread(target=drip, args=(text,)) for text in heads * 8]
    for thread in threads:
        thread.start()
    with Client(proxy.url, "http", headers=BEARER, tls=proxy.certificate) as client:
        served = 0
        while any(thread.is_alive() for thread in threads):
            client.infer("tiny", networks.clips(1), deadline_s=2)
            served += 1
    assert len(ended) == len(threads)
    assert max(ended) < 8
    assert served > 50


def test_a_client_that_asks_too_often_waits_and_others_do_not(
    triton: RestrictedTriton, tmp_path: Path
) -> None:
    other = {"authorization": f"Bearer {OTHER}"}
    with Proxy(tmp_path, triton.http_url, triton.grpc_url, rate=20) as proxy:
        seen = [ask(proxy, "GET", "/v2/models/tiny", **BEARER) for _ in range(25)]
        assert [status for status, _, _ in seen] == [200] * 20 + [429] * 5
        assert seen[-1][2]["retry-after"] == "10"
        assert ask(proxy, "GET", "/v2/models/tiny", **other)[0] == 200
        with Client(proxy.url, headers=BEARER, tls=proxy.certificate) as client:
            with pytest.raises(ServerError, match="too many requests"):
                client.infer("tiny", networks.clips(1))


def test_a_token_is_replaced_without_a_restart(triton: RestrictedTriton, tmp_path: Path) -> None:
    with Proxy(tmp_path, triton.http_url, triton.grpc_url) as proxy:
        assert ask(proxy, "GET", "/v2", **BEARER)[0] == 200
        write_tokens(proxy.tokens, {OTHER: "camera-1"})
        proxy.reload()
        proxy.wait_until(lambda: ask(proxy, "GET", "/v2", **BEARER)[0] == 401)
        assert ask(proxy, "GET", "/v2", authorization=f"Bearer {OTHER}")[0] == 200


def test_the_log_says_who_and_how_long_and_holds_no_token(proxy: Proxy) -> None:
    asked = "/v2/models/tiny/a\"b"
    with proxy.connect() as line:
        line.sendall(f"GET {asked}?key=hidden HTTP/1.1\r\nhost: x\r\n"
                     f"authorization: Bearer {TOKEN}\r\n\r\n".encode())  # fmt: skip
        line.recv(64)
    proxy.wait_until(lambda: any(row["path"] == asked for row in proxy.entries()))
    (row,) = [row for row in proxy.entries() if row["path"] == asked]
    assert (row["client"], row["status"]) == ("camera-1", 403)
    for hidden in (TOKEN, "hidden", "127.0.0.1:5"):
        assert hidden not in "".join(map(json.dumps, proxy.entries()))


def test_readiness_follows_the_server(proxy: Proxy, tmp_path: Path) -> None:
    assert get(f"{proxy.status}/ready")[0] == 200
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = f"127.0.0.1:{nobody.getsockname()[1]}"
    alone = Proxy(tmp_path, closed, closed)
    alone.expected = 503
    with alone:
        assert ask_raw(alone).startswith(b"HTTP/1.1 503")


def ask_raw(proxy: Proxy) -> bytes:
    """Return the beginning of the answer to a good request."""
    with proxy.connect() as line:
        line.sendall(f"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode())
        return line.recv(64)
