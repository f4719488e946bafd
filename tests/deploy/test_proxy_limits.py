"""How large, how often, how slowly: what the deployed proxy lets through, before a real Triton."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import grpc
import pytest

from tests import networks
from tests.deploy.doors import (
    BEARER,
    BODY_BYTES,
    INFER,
    OTHER,
    TOKEN,
    Proxy,
    RestrictedTriton,
    ask,
    code,
    get,
    write_tokens,
)
from vigil.errors import ServerError
from vigil.serving.client import Client


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
        line.sendall(
            f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
            "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".encode()
        )
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
            while time.monotonic() - start < 60:
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
            client.infer("tiny", networks.clips(1), deadline_s=20)
            served += 1
    assert len(ended) == len(threads)
    assert max(ended) < 30
    assert served > 10


def test_a_client_that_asks_too_often_waits_and_others_do_not(
    triton: RestrictedTriton, tmp_path: Path
) -> None:
    other = {"authorization": f"Bearer {OTHER}"}
    with Proxy(tmp_path, triton.http_url, triton.grpc_url, rate=5) as proxy:
        seen = [ask(proxy, "GET", "/v2/models/tiny", **BEARER) for _ in range(9)]
        assert [status for status, _, _ in seen] == [200] * 5 + [429] * 4
        assert seen[-1][2]["retry-after"] == "10"
        assert ask(proxy, "GET", "/v2/models/tiny", **other)[0] == 200
        with (
            Client(proxy.url, headers=BEARER, tls=proxy.certificate) as client,
            pytest.raises(ServerError, match="too many requests"),
        ):
            client.infer("tiny", networks.clips(1))


def test_a_client_has_so_many_requests_at_a_time(triton: RestrictedTriton, tmp_path: Path) -> None:
    begun = (f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
             "content-length: 5000\r\n\r\n").encode()  # fmt: skip
    with Proxy(tmp_path, triton.http_url, triton.grpc_url, at_once=2) as proxy:

        def refuses_a_third() -> bool:
            """Begin two requests, whose bodies the proxy awaits for five seconds, and ask again."""
            with proxy.connect() as first, proxy.connect() as second:
                until = time.monotonic() + 4
                first.sendall(begun)
                second.sendall(begun)
                while time.monotonic() < until:
                    if ask(proxy, "GET", "/v2", **BEARER)[0] == 429:
                        assert ask(proxy, "GET", "/v2", authorization=f"Bearer {OTHER}")[0] == 200
                        return True
            return False

        proxy.wait_until(refuses_a_third)
        proxy.wait_until(lambda: ask(proxy, "GET", "/v2", **BEARER)[0] == 200)


def test_a_token_is_replaced_without_a_restart(triton: RestrictedTriton, tmp_path: Path) -> None:
    with Proxy(tmp_path, triton.http_url, triton.grpc_url) as proxy:
        assert ask(proxy, "GET", "/v2", **BEARER)[0] == 200
        write_tokens(proxy.tokens, {OTHER: "camera-1"})
        proxy.reload()
        proxy.wait_until(lambda: ask(proxy, "GET", "/v2", **BEARER)[0] == 401)
        assert ask(proxy, "GET", "/v2", authorization=f"Bearer {OTHER}")[0] == 200


def test_the_log_says_who_and_how_long_and_holds_no_token(proxy: Proxy) -> None:
    asked = '/v2/models/tiny/a"b'
    with proxy.connect() as line:
        line.sendall(f"GET {asked}?key=hidden HTTP/1.1\r\nhost: x\r\n"
                     f"authorization: Bearer {TOKEN}\r\n\r\n".encode())  # fmt: skip
        line.recv(64)
    proxy.wait_until(lambda: any(row.get("path") == asked for row in proxy.entries()))
    (row,) = [row for row in proxy.entries() if row.get("path") == asked]
    assert (row["client"], row["status"]) == ("camera-1", 403)
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
        plain.sendall(b"no TLS at all\r\n\r\n")
    proxy.wait_until(lambda: any("refused" in row for row in proxy.entries()))
    for hidden in (TOKEN, "hidden", "127.0.0.1"):
        assert hidden not in proxy.log()


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
        line.sendall(
            f"GET /v2 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        return line.recv(64)
