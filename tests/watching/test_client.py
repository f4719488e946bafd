"""The watched client against a real server: the caller's answer, and a line of who gave it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.watching.served import CLASSES, LOG
from vigil.errors import ModelNotFound
from vigil.feeds import Array
from vigil.serving.client import AsyncClient, Client
from vigil.serving.server import EmbeddedTriton
from vigil.triton import TransportName
from vigil.watching.client import AsyncWatchedClient, WatchedClient
from vigil.watching.log import RequestLog
from vigil.watching.reading import read_logs
from vigil.watching.record import Note

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("repository")
    networks.recognizer_model(folder)
    (folder / "tiny" / "1").rename(folder / "tiny" / "7")
    with EmbeddedTriton(folder) as running:
        yield running


@pytest.mark.parametrize("how", ["http", "grpc", "shared memory", "asyncio"])
def test_logs_the_version_that_answered(server: EmbeddedTriton, how: str, tmp_path: Path) -> None:
    protocol: TransportName = "http" if how == "http" else "grpc"
    url = server.http_url if how == "http" else server.grpc_url
    feeds, note = networks.clips(3), Note(["a@0-4000", "b@0-4000", "c@0-4000"], "gate")

    async def later(log: RequestLog) -> Array:
        async with AsyncClient(url, protocol) as client:
            return (await AsyncWatchedClient(client, log).infer("tiny", feeds, note))[
                "probabilities"
            ]

    with RequestLog(tmp_path, CLASSES, LOG) as log:
        if how == "asyncio":
            answer = asyncio.run(later(log))
        else:
            with Client(url, protocol, shared_memory=how == "shared memory") as client:
                answer = WatchedClient(client, log).infer("tiny", feeds, note)["probabilities"]
    served = read_logs(tmp_path)
    assert served.requests["tiny"].versions == {"7": 1}
    told = [one for _, _, one in served.seen["tiny", "tiny"]]
    assert [one.clip for one in told] == list(note.clips)
    assert [one.top for one in told] == [CLASSES[i] for i in answer.argmax(1)]
    np.testing.assert_allclose([one.p for one in told], answer, atol=1e-4)


def test_a_refusal_reaches_the_caller_and_the_log(server: EmbeddedTriton, tmp_path: Path) -> None:
    with (
        RequestLog(tmp_path, CLASSES, LOG) as log,
        Client(server.grpc_url) as client,
        pytest.raises(ModelNotFound),
    ):
        WatchedClient(client, log).infer("nobody", networks.clips(1))
    assert read_logs(tmp_path).requests["nobody"].outcomes == {"ModelNotFound": 1}
