"""The client library against a real server: both protocols, threads and asyncio, shared memory."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from vigil.benchmark.counters import read_counters
from vigil.errors import (
    DeadlineExceeded,
    InputError,
    InvalidRequest,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
)
from vigil.serving.client import AsyncClient, Batcher, Client, Retry
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName

PROTOCOLS: tuple[TransportName, ...] = ("http", "grpc")


def url_of(server: EmbeddedTriton, protocol: TransportName) -> str:
    return server.http_url if protocol == "http" else server.grpc_url


def regions() -> set[Path]:
    """Return the clients' shared memory that this process maps; other programs have theirs."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    return {Path(words[5]) for words in lines if len(words) > 5 and "/vigil-" in words[5]}


@contextmanager
def unreliable(target: str, broken: int) -> Iterator[tuple[str, list[int]]]:
    """A door to `target` that shuts the first `broken` connections at once; count them all."""
    seen: list[int] = []
    host, port = target.rsplit(":", 1)

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            seen.append(len(seen))
            if len(seen) <= broken:
                near.close()
                continue
            far = socket.create_connection((host, int(port)))
            opened.extend((near, far))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pipe, args=pair, daemon=True).start()

    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
        for one in opened:
            one.close()


@pytest.mark.parametrize("shared", [False, True], ids=["sent", "shared memory"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_threads_get_their_own_answers(
    server: EmbeddedTriton, repository: Path, protocol: TransportName, shared: bool
) -> None:
    local = OnnxSession(repository / "tiny" / "1" / "model.onnx")
    with Client(url_of(server, protocol), protocol, shared_memory=shared) as client:
        assert client.ready()
        assert client.ready("tiny")
        assert not client.ready("nobody")
        requests = [networks.clips(1 + n % 8, seed=n) for n in range(40)]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda feeds: client.infer("tiny", feeds), requests))
        used = regions()
        for request, answer in zip(requests, answers, strict=True):
            for name, wanted in local.run(request).items():
                np.testing.assert_allclose(answer[name], wanted, atol=1e-5)
        only = client.infer("tiny", requests[0], outputs=["logits"])
        assert list(only) == ["logits"]
    assert bool(used) == shared
    assert not [path for path in used if path.exists()]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_strings_and_unsized_outputs_pass_beside_shared_memory(
    server: EmbeddedTriton, protocol: TransportName
) -> None:
    sent = np.array([["a", "폭행", ""]], object)
    with Client(url_of(server, protocol), protocol, shared_memory=True) as client:
        (row,) = client.infer("echo_STRING", {"x": sent})["y"]
    assert [value.decode() for value in row] == ["a", "폭행", ""]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_asyncio_gets_the_same_answers(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    local = OnnxSession(repository / "tiny" / "1" / "model.onnx")
    requests = [networks.clips(1 + n % 8, seed=n) for n in range(40)]

    async def ask() -> list[dict[str, np.ndarray]]:
        async with AsyncClient(url_of(server, protocol), protocol) as client:
            assert await client.ready("tiny")
            with pytest.raises(ModelNotFound):
                await client.infer("nobody", requests[0])
            (top,) = await client.classify("tiny", networks.clips(1), top=1)
            assert top[0].label in {"normal", "assault", "faint"}
            return await asyncio.gather(*(client.infer("tiny", feeds) for feeds in requests))

    for request, answer in zip(requests, asyncio.run(ask()), strict=True):
        wanted = local.run(request)["probabilities"]
        np.testing.assert_allclose(answer["probabilities"], wanted, atol=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_classification_extension_names_the_classes_in_order(
    server: EmbeddedTriton, repository: Path, protocol: TransportName
) -> None:
    request = networks.clips(3)
    wanted = OnnxSession(repository / "tiny" / "1" / "model.onnx").run(request)["probabilities"]
    with Client(url_of(server, protocol), protocol) as client:
        rows = client.classify("tiny", request, top=2)
    labels = ["normal", "assault", "faint"]
    for ranks, row in zip(rows, wanted, strict=True):
        order = np.argsort(-row)[:2]
        assert [one.index for one in ranks] == order.tolist()
        assert [one.label for one in ranks] == [labels[i] for i in order]
        np.testing.assert_allclose([one.score for one in ranks], row[order], atol=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_broken_connection_is_tried_again_and_no_other_failure(
    server: EmbeddedTriton, protocol: TransportName
) -> None:
    feeds, target = networks.clips(1), url_of(server, protocol)
    patient = Retry(attempts=6, first_s=0.2, most_s=0.4)
    with unreliable(target, broken=2) as (url, seen), Client(url, protocol, retry=patient) as near:
        assert near.infer("tiny", feeds)["probabilities"].shape == (1, 3)
        assert len(seen) >= 3
    with unreliable(target, broken=99) as (url, seen), Client(url, protocol, retry=Retry(3)) as far:
        with pytest.raises(ServerUnavailable, match=f"tiny at {protocol}://{url}"):
            far.infer("tiny", feeds)
        assert len(seen) >= (3 if protocol == "http" else 1)
    before = read_counters(server.http_url, "lookup")
    with Client(target, protocol, retry=patient) as client, pytest.raises(InvalidRequest):
        client.infer("lookup", {"x": np.array([[99]])})
    assert read_counters(server.http_url, "lookup").since(before).executions <= 1


def test_a_call_of_a_stream_is_never_sent_twice(server: EmbeddedTriton) -> None:
    frames = np.zeros((1, 8, 8, 3), np.uint8)
    with unreliable(server.http_url, broken=99) as (url, seen), Client(url, "http") as client:
        with pytest.raises(ServerUnavailable):
            client.stream().send(frames, [0.0])
        assert len(seen) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_deadline_holds_over_all_attempts(protocol: TransportName) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with Client(url, protocol) as client, pytest.raises(DeadlineExceeded, match="tiny at"):
            client.infer("tiny", networks.clips(1), deadline_s=0.4)
        with Client(url, protocol, timeout_s=0.4) as client:
            assert not client.ready()
        assert time.monotonic() - start < 25  # each would wait for 30 s

        async def ask() -> None:
            async with AsyncClient(url, protocol) as client:
                await client.infer("tiny", networks.clips(1), deadline_s=0.4)

        with pytest.raises(DeadlineExceeded, match="tiny at"):
            asyncio.run(ask())


def test_rows_of_many_threads_travel_together_and_fail_alone(server: EmbeddedTriton) -> None:
    indices = [2, 1, 99, 3, 0, 77, 1, 2] * 2
    before = read_counters(server.http_url, "lookup")
    with (
        Client(server.grpc_url) as client,
        Batcher(client, "lookup", max_batch=8, max_delay_s=1.0) as batcher,
    ):
        good = [batcher.submit({"x": np.array([i % 4])}) for i in range(8)]
        assert [float(one.result(120)["y"][0]) for one in good] == [0, 1, 2, 3] * 2
        counted = read_counters(server.http_url, "lookup").since(before)
        assert counted.executions < 8, "rows never travelled together: nothing was proved"
        mixed = [batcher.submit({"x": np.array([index])}) for index in indices]
        for index, future in zip(indices, mixed, strict=True):
            if index < 4:
                assert float(future.result(120)["y"][0]) == index
            else:
                with pytest.raises(ServerError, match="out of data bounds"):
                    future.result(120)
    with pytest.raises(InputError, match="closed"):
        batcher.submit({"x": np.array([1])})


def test_a_row_that_is_given_up_or_is_no_array_costs_the_others_nothing(
    server: EmbeddedTriton,
) -> None:
    with (
        Client(server.grpc_url) as client,
        Batcher(client, "lookup", max_batch=8, max_delay_s=1.0) as batcher,
    ):
        rows = [batcher.submit({"x": np.array([1])}) for _ in range(3)]
        assert rows[1].cancel()
        with pytest.raises(InputError, match="got list"):
            batcher.submit({"x": [1]})  # type: ignore[dict-item]
        assert [float(rows[i].result(120)["y"][0]) for i in (0, 2)] == [1, 1]
        assert float(batcher.submit({"x": np.array([2])}).result(120)["y"][0]) == 2


def test_what_is_no_array_is_refused_before_it_is_sent() -> None:
    with Client("127.0.0.1:1", "http") as client, pytest.raises(InputError, match="got list"):
        client.infer("tiny", {"x": [1, 2]})  # type: ignore[dict-item]


def test_a_trace_is_passed_on() -> None:
    from vigil.serving.client.tracing import traced

    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with traced("tiny", {"traceparent": parent}) as headers:
        assert headers["traceparent"].split("-")[1] == parent.split("-")[1]
