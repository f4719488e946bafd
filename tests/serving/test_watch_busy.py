"""The watchdog of a server whose callers never rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests import networks
from vigil.errors import VigilError
from vigil.serving.client import Client
from vigil.serving.server import EmbeddedTriton
from vigil.serving.watch import Watchdog

ROW = {"x": np.zeros((1, 8), np.float32)}


@contextmanager
def callers(url: str, count: int) -> Iterator[None]:
    """Let so many ask one model without a pause."""
    stop = threading.Event()

    def ask() -> None:
        with Client(url) as client:
            while not stop.is_set():
                try:
                    client.infer("pair", ROW)
                except VigilError:  # the dead instance's answer
                    time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_an_instance_that_died_is_noticed_though_callers_keep_the_canaries_away_from_it(
    tmp_path: Path,
) -> None:
    networks.mlp_model(tmp_path, "pair", instances=2)
    with EmbeddedTriton(tmp_path, ["pair"]) as server:
        watchdog = Watchdog(server.http_url, 1.0, 5.0, lambda line: None, server)
        watchdog.look()
        with callers(server.grpc_url, 4):
            victim = min(server.stubs("pair"))
            psutil.Process(victim).kill()
            limit = time.monotonic() + 60
            while not (repaired := watchdog.look()):
                assert time.monotonic() < limit, "expected that the death is noticed"
                time.sleep(0.2)
        assert repaired == ["pair"]
        assert victim not in server.stubs("pair")
        assert len(server.stubs("pair")) >= 2
