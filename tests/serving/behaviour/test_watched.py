"""Watched streams of both clients: the same answers, and the same lines of who judged what."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving.behaviour.test_stream import run
from tests.watching.served import CLASSES, LOG
from vigil.errors import InvalidRequest
from vigil.serving.behaviour.result import Behaviour, joined
from vigil.serving.behaviour.stream import Pipeline
from vigil.serving.client import AsyncClient, Client
from vigil.serving.server import EmbeddedTriton
from vigil.watching.client import AsyncWatchedClient, WatchedClient
from vigil.watching.log import RequestLog
from vigil.watching.reading import Served, read_logs

pytestmark = pytest.mark.slow
Footage = tuple[np.ndarray, np.ndarray]
NAMES = ("protogcn", "clip_gru")
KINDS = pytest.mark.parametrize("kind", ["threads", "asyncio"])


class Plain:
    """Calls both kinds of client in the same words."""

    def __init__(self, kind: str, server: EmbeddedTriton, log: RequestLog) -> None:
        self.kind, self.server, self.log = kind, server, log

    def run(self, work: Callable[[Any, Callable[[Any], Awaitable[Any]]], Awaitable[Any]]) -> Any:
        """Run `work(watched, wait)`; `wait` awaits what the client for asyncio gives."""

        async def now(value: Any) -> Any:
            return value

        async def same(value: Any) -> Any:
            return await value

        async def asked() -> Any:
            if self.kind == "asyncio":
                async with AsyncClient(self.server.grpc_url) as client:
                    return await work(AsyncWatchedClient(client, self.log), same)
            with Client(self.server.grpc_url) as client:
                return await work(WatchedClient(client, self.log), now)

        return asyncio.run(asked())


def windows(served: Served, by: str) -> list[tuple[float, float]]:
    """Return the windows that were logged of a recognizer, in their order."""
    rows = served.seen["behaviour", by]
    return [(one.start_s or 0.0, one.end_s or 0.0) for _, _, one in rows]


def check(served: Served, found: Behaviour, chunks: int, source: str) -> None:
    requests = served.requests["behaviour"]
    assert requests.outcomes == {"ok": chunks}
    assert requests.versions == {"1": chunks}
    for number, name in enumerate(NAMES):
        np.testing.assert_allclose(windows(served, name), found.clip_s, atol=2e-3)
        rows = served.seen["behaviour", name]
        said = found.clip_probabilities[:, number]
        np.testing.assert_allclose([one.p for _, _, one in rows], said, atol=1e-3)
        assert {told for _, told, _ in rows} == {source}
        assert all(one.features["persons"] > 0 for _, _, one in rows)


@KINDS
def test_a_watched_stream_answers_as_ever_and_logs_each_chunk(
    server: EmbeddedTriton, pipeline: Pipeline, footage: Footage, tmp_path: Path, kind: str
) -> None:
    frames, time_s = footage
    wanted = run(pipeline, frames, time_s, 1000)

    async def work(watched: Any, wait: Any) -> Behaviour:
        stream = watched.stream(recognizers=NAMES, source="gate")
        cuts = range(0, len(frames), 20)
        parts = [await wait(stream.send(frames[i : i + 20], time_s[i : i + 20])) for i in cuts]
        return joined([*parts, await wait(stream.end())])

    with RequestLog(tmp_path, CLASSES, LOG) as log:
        found = Plain(kind, server, log).run(work)
    for name, value in wanted.tensors.items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-3, err_msg=name)
    assert len(found.clip_s) > 3
    check(read_logs(tmp_path), found, len(range(0, len(frames), 20)) + 1, "gate")


@KINDS
def test_a_whole_video_is_watched_in_its_chunks(
    server: EmbeddedTriton, footage: Footage, tmp_path: Path, kind: str
) -> None:
    frames, time_s = footage

    async def work(watched: Any, wait: Any) -> Behaviour:
        return await wait(watched.behaviour(frames, time_s, recognizers=NAMES, source="yard"))

    with RequestLog(tmp_path, CLASSES, LOG) as log:
        found = Plain(kind, server, log).run(work)
    check(read_logs(tmp_path), found, -(-len(frames) // 64), "yard")


@KINDS
def test_a_refused_chunk_is_logged_and_the_stream_goes_on(
    server: EmbeddedTriton, footage: Footage, tmp_path: Path, kind: str
) -> None:
    frames, time_s = footage[0][:2], footage[1][:2]

    async def work(watched: Any, wait: Any) -> Behaviour:
        stream = watched.stream(source="gate")
        await wait(stream.send(frames[:1], time_s[:1]))
        with pytest.raises(InvalidRequest, match="expected a JPEG file"):
            await wait(stream.send([b"no picture"], time_s[1:]))
        return await wait(stream.send(frames[1:], time_s[1:], last=True))

    with RequestLog(tmp_path, CLASSES, LOG) as log:
        found = Plain(kind, server, log).run(work)
    assert found.frame.tolist() == [0] * (found.frame == 0).sum() + [1] * (found.frame == 1).sum()
    outcomes = read_logs(tmp_path).requests["behaviour"].outcomes
    assert outcomes == {"ok": 2, "InvalidRequest": 1}


def test_cameras_of_one_event_loop_keep_their_own_windows(
    server: EmbeddedTriton, footage: Footage, tmp_path: Path
) -> None:
    frames, time_s = footage
    starts = {"gate": 0.0, "hall": 100.0}

    async def camera(watched: AsyncWatchedClient, source: str) -> Behaviour:
        stream = watched.stream(recognizers=NAMES, source=source)
        parts = [
            await stream.send(frames[i : i + 20], time_s[i : i + 20] + starts[source])
            for i in range(0, len(frames), 20)
        ]
        return joined([*parts, await stream.end()])

    async def both(log: RequestLog) -> list[Behaviour]:
        async with AsyncClient(server.grpc_url) as client:
            watched = AsyncWatchedClient(client, log)
            return await asyncio.gather(*(camera(watched, source) for source in starts))

    with RequestLog(tmp_path, CLASSES, LOG) as log:
        gate, hall = asyncio.run(both(log))
    np.testing.assert_allclose(hall.clip_s, gate.clip_s + 100.0, atol=1e-6)
    logged = read_logs(tmp_path).seen["behaviour", "protogcn"]
    for source, found in zip(starts, (gate, hall), strict=True):
        told = [one.start_s for _, said, one in logged if said == source]
        np.testing.assert_allclose(told, found.clip_s[:, 0], atol=2e-3)
