"""How fast a decision is on disk when several people label at once, and what the server takes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from vigil.errors import ServerError

_PAGE = 12
_TIMEOUT_S = 60.0


@dataclass
class Annotator:
    """One who is signed in and measures.

    Attributes:
        client: with the session's cookie.
        csrf: the session's token.
        pages_s: seconds until each page of clips was there.
        keys_s: seconds from each decision to its acknowledgement.
    """

    client: httpx.AsyncClient
    csrf: str
    pages_s: list[float] = field(default_factory=list)
    keys_s: list[float] = field(default_factory=list)

    async def label(self, videos: Sequence[str], label: str, count: int, pace_s: float) -> None:
        """Label `count` clips page by page, one request each.

        Args:
            videos: keys, in the order in which they are labeled.
            label: of every clip.
            count: how many.
            pace_s: seconds from one decision to the next; 0: at once.
        """
        for video in videos:
            for clip in await self.page(video):
                if len(self.keys_s) >= count:
                    return
                begin = time.perf_counter()
                await self._vote(clip["key"], label)
                self.keys_s.append(time.perf_counter() - begin)
                await asyncio.sleep(max(pace_s - self.keys_s[-1], 0))

    async def page(self, video: str) -> list[dict[str, Any]]:
        """Open the first page of a video, with the part of it that a player asks for first."""
        begin = time.perf_counter()
        answer = await self.client.get("/api/clips", params={"video": video, "size": _PAGE})
        clips: list[dict[str, Any]] = answer.raise_for_status().json()["clips"]
        self.pages_s.append(time.perf_counter() - begin)
        part = {"Range": "bytes=0-65535"}
        (await self.client.get(clips[0]["media"]["raw"], headers=part)).raise_for_status()
        return clips

    async def _vote(self, clip: str, label: str) -> None:
        vote = {"token": str(uuid.uuid4()), "clip": clip, "kind": "label", "label": label}
        answer = await self.client.post(
            "/api/votes", json={"votes": [vote]}, headers={"X-Vigil-CSRF": self.csrf}
        )
        answer.raise_for_status()


@dataclass(frozen=True)
class Served:
    """A server of its own process.

    Attributes:
        address: of it.
        process: of it.
    """

    address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the seconds of processor time it has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def memory_mb(self) -> float:
        """Return what it and its children hold resident, in MB of 10^6 bytes."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(one.memory_info().rss for one in family) / 1e6)


@contextmanager
def served(params: Path) -> Iterator[Served]:
    """Serve a project with `python -m stages.label` while the block runs.

    Raises:
        ServerError: it did not start.
    """
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "stages.label", "--params", str(params)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(
        command, cwd=params.parent, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            found = re.match(r"label: open (\S+)", line)
            if found is None:
                raise ServerError(f"bench_label: expected the server to start, got {line!r}")
            yield Served(found.group(1), psutil.Process(process.pid))
        finally:
            process.terminate()
            process.communicate()


async def sign_in(address: str, name: str, password: str) -> Annotator:
    """Return an annotator with a session."""
    client = httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_S)
    form = {"name": name, "password": password}
    answer = await client.post("/login", data=form)
    if answer.status_code != httpx.codes.SEE_OTHER:
        raise ServerError(f"bench_label: {name}: expected to be signed in, got {answer.text:.200}")
    me = (await client.get("/api/me")).raise_for_status().json()
    return Annotator(client, str(me["csrf"]))


async def measure(
    server: Served, passwords: dict[str, str], label: str, count: int, pace_s: float
) -> dict[str, Any]:
    """Let everybody label at once.

    Args:
        server: a project whose clips may all be labeled by everybody.
        passwords: by annotator.
        label: of every clip.
        count: clips of each annotator.
        pace_s: seconds from one decision to the next; 0: at once.

    Returns:
        Latencies in milliseconds, memory in MB, votes in a second.
    """
    people = [await sign_in(server.address, *one) for one in passwords.items()]
    try:
        begin = time.perf_counter()
        videos = [row["key"] for row in await _videos(people[0])]
        first = await people[0].page(videos[0])
        first_page_s = time.perf_counter() - begin
        people[0].pages_s.clear()
        begin, cpu_s = time.perf_counter(), server.cpu_s()
        await asyncio.gather(*(one.label(_from(videos, number), label, count, pace_s)
                               for number, one in enumerate(people)))  # fmt: skip
        seconds, cpu_s = time.perf_counter() - begin, server.cpu_s() - cpu_s
        begin = time.perf_counter()
        await _videos(people[0])
        return {
            "annotators": len(people), "pace_s": pace_s, "first_page_clips": len(first),
            "votes": (votes := sum(len(one.keys_s) for one in people)),
            "cpu_ms_per_vote": round(cpu_s * 1000 / votes, 1),
            "key_to_ack_ms": spread([s for one in people for s in one.keys_s]),
            "page_ms": spread([s for one in people for s in one.pages_s]),
            "first_page_ms": round(first_page_s * 1000, 1),
            "videos_ms_after": round((time.perf_counter() - begin) * 1000, 1),
            "votes_per_s": round(votes / seconds, 1),
            "memory_mb": round(server.memory_mb(), 1),
        }  # fmt: skip
    finally:
        for one in people:
            await one.client.aclose()


async def _videos(annotator: Annotator) -> list[dict[str, Any]]:
    answer = await annotator.client.get("/api/videos")
    found: list[dict[str, Any]] = answer.raise_for_status().json()["videos"]
    return found


def _from(videos: Sequence[str], number: int) -> list[str]:
    """Return the videos in an order that lets people meet on some and not on others."""
    start = number * 3 % len(videos)
    return [*videos[start:], *videos[:start]]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return quantiles in milliseconds."""
    values = np.asarray(seconds) * 1000
    return {
        name: round(float(np.quantile(values, share)), 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
