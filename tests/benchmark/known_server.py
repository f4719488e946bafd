"""A tiny server that speaks KServe v2 over HTTP and whose latency is known beforehand.

`python -m tests.benchmark.known_server '{"ms": 20}'` prints its port and serves until killed. It
stands in for no server of ours: it is the ruler that the load generator is held against.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MODEL = "known"
SPEC = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}]}  # fmt: skip


class Connection(asyncio.Protocol):
    """Answers requests of one connection in order, each after its delay."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.buffer = plan, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.answer(head.split()[1].decode())

    def answer(self, path: str) -> None:
        if path.endswith("/infer"):
            self.infer()
        elif self.plan.get("not_ready"):
            self.send(400, {"error": f"Request for unknown model: '{MODEL}' is not found"})
        elif path.endswith("/stats"):
            self.send(200, {"model_stats": []})
        elif path.endswith("/config"):
            self.send(200, {"name": MODEL, "max_batch_size": 8, "backend": "known"})
        else:
            self.send(200, {"name": MODEL, "extensions": [], **SPEC})

    def infer(self) -> None:
        plan, counter = self.plan, self.plan["_count"]
        counter[0] += 1
        if counter[0] == plan.get("die_after"):
            sys.exit(0)
        wait = plan.get("ms", 0) / 1e3
        if "slow_ms" in plan and counter[0] % plan["every"] == 0:
            wait = plan["slow_ms"] / 1e3
        now = time.monotonic()
        if counter[0] == plan.get("stall_from"):
            plan["_until"] = now + plan["stall_s"]
        if now < plan["_until"]:
            wait = plan["_until"] - now
        status = plan.get("status", 200) if counter[0] % plan.get("status_every", 1) == 0 else 200
        value = plan.get("value", 1.0) if counter[0] % plan.get("value_every", 1) == 0 else 1.0
        body = {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 1], "data": [value]}]}
        if status != 200:
            body = {"error": "as planned"}
        if wait:
            asyncio.get_running_loop().call_later(wait, self.send, status, body)
        else:
            self.send(status, body)

    def send(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.transport.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(text)))
        self.transport.write(text)


async def serve(plan: dict[str, Any]) -> None:
    plan |= {"_count": [0], "_until": 0.0}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(plan), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


@contextmanager
def known_server(**plan: Any) -> Iterator[str]:
    """Run one with a plan and yield its `host:port`.

    Args:
        plan: `ms` of every answer; `slow_ms` of every `every`-th; `stall_from` the so manieth
            request on it answers nothing for `stall_s`; `die_after` so many requests; `status` of
            every `status_every`-th answer; `value` of every `value_every`-th (1 is right);
            `not_ready`.
    """
    command = [sys.executable, "-m", "tests.benchmark.known_server", json.dumps(plan)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
