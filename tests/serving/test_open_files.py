"""Threads come and go, and what they asked a server by stays open no longer than they live."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import networks
from tests.conftest import ROOT
from vigil.serving.client import Client
from vigil.serving.control import Control
from vigil.serving.server import EmbeddedTriton
from vigil.serving.supervisor import SHARED_MEMORY
from vigil.session import TransportName, TritonSession

THREADS = 12
REGIONS = "/v2/systemsharedmemory/status"


def held() -> int:
    """Return how many loops, connections and regions of memory this process holds open."""
    gc.collect()
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        found += target.startswith(("anon_inode:[event", "socket:", f"{SHARED_MEMORY}/vigil-"))
    return found


def one_after_the_other(ask: Callable[[], object]) -> None:
    """Ask from threads of which each ends before the next begins."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            ask()
        except BaseException as error:
            failures.append(error)

    for _ in range(THREADS):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert failures == []


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_session_holds_nothing_for_threads_that_are_over(
    server: EmbeddedTriton, protocol: TransportName
) -> None:
    session = TritonSession(getattr(server, f"{protocol}_url"), "tiny", protocol)
    session.run(networks.clips(1))
    before = held()
    one_after_the_other(lambda: session.run(networks.clips(1)))
    assert held() <= before + 2  # a leak holds two for each thread at least


@pytest.mark.parametrize("shared", [False, True], ids=["sent", "shared memory"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_client_holds_nothing_for_threads_that_are_over(
    server: EmbeddedTriton, protocol: TransportName, shared: bool
) -> None:
    control = Control(server.http_url)
    with Client(getattr(server, f"{protocol}_url"), protocol, shared_memory=shared) as client:
        client.infer("tiny", networks.clips(1))
        one_after_the_other(lambda: client.infer("tiny", networks.clips(1)))
        before, registered = held(), len(control.ask("GET", REGIONS))
        one_after_the_other(lambda: client.infer("tiny", networks.clips(1)))
        assert held() <= before + 2
        assert len(control.ask("GET", REGIONS)) == registered
        assert bool(registered) == shared
    assert control.ask("GET", REGIONS) == []


ASK = """
import subprocess, sys, threading
from vigil.serving.client import Client

def ask():
    with Client(sys.argv[1], "http") as client:
        client.ready("tiny")
        codes.append(subprocess.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode)
        client.ready("tiny")
        said = open("/proc/self/status").read().split("SigCgt:")[1].split()[0]
        heard.append(int(said, 16) >> 16 & 1)

codes, heard = [], []
for _ in range(12):
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
print(codes, heard)
"""


def test_threads_that_ask_leave_the_programs_of_this_process_to_it(server: EmbeddedTriton) -> None:
    """The first thread that asks is the first to import gevent, which takes it for the main one."""
    command = [sys.executable, "-c", ASK, server.http_url]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == f"{[3] * 12} {[0] * 12}\n"
