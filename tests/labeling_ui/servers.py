"""The real server as a process of its own, and what talks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.labeling_ui.projects import PASSWORD, ROOT

START_S = 300.0  # of a slow machine


class Server:
    """`python -m stages.label` on a free port."""

    def __init__(self, params: Path, env: Mapping[str, str] | None = None) -> None:
        self._params, self._env = params, dict(env or {})
        self.process: subprocess.Popen[str]
        self.address = ""
        self._clients: list[httpx.Client] = []
        self.start()

    def start(self) -> None:
        """Start, and wait until it says where it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.label", "--params", str(self._params)],
            cwd=self._params.parent, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | self._env,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("label: open "), f"the server said {line!r}"
        self.address = line.split()[-1]

    def stop(self, name: signal.Signals = signal.SIGINT) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(name)
        status = self.process.wait(120)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def client(self) -> httpx.Client:
        """Return a browser that nobody has signed in with."""
        self._clients.append(httpx.Client(base_url=self.address, timeout=START_S))
        return self._clients[-1]

    def close(self) -> None:
        """End it at once, and every browser."""
        for client in self._clients:
            client.close()
        self.stop(signal.SIGKILL)

    def sign_in(self, name: str, password: str = PASSWORD) -> Annotator:
        """Return a browser with a session."""
        client = self.client()
        answer = client.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return Annotator(client)


class Annotator:
    """Somebody who is signed in."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.me = client.get("/api/me").raise_for_status().json()

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(path, params=params).raise_for_status().json()

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.client.post(path, json=body, headers={"X-Vigil-CSRF": self.me["csrf"]})

    def vote(self, *votes: dict[str, Any]) -> httpx.Response:
        return self.post("/api/votes", {"votes": [{"token": token()} | vote for vote in votes]})

    def clips(self, video: int = 0, **params: Any) -> list[dict[str, Any]]:
        key = self.get("/api/videos")["videos"][video]["key"]
        found: list[dict[str, Any]] = self.get("/api/clips", video=key, **params)["clips"]
        return found


def token() -> str:
    return str(uuid.uuid4())


@contextmanager
def serving(params: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Serve while the block runs."""
    server = Server(params, env)
    try:
        yield server
    finally:
        server.close()
