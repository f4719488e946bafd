"""A service on which trials are held: a live repository, its server, a front, and callers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import helper, numpy_helper

from tests import networks
from tests.conftest import ROOT
from tests.release import plants
from tests.skeletons import config
from vigil.errors import VigilError
from vigil.release.candidate import Candidate
from vigil.release.live import LiveModel
from vigil.release.publish import hold
from vigil.release.s3 import S3Storage
from vigil.serving.client import Client
from vigil.serving.client.wire import version_of
from vigil.serving.control import Control
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TransportName

_CALLERS = 4
RULE = {"share": 0.5, "requests": 60, "min_agreement": 0.9, "max_slowdown": 4.0,
        "max_failures": 0, "timeout_s": 10.0, "longest_s": 60.0}  # fmt: skip


@dataclass
class Service:
    """What an operator has."""

    live: LiveModel
    server: EmbeddedTriton
    front: str
    front_grpc: str
    params: Path

    @property
    def control(self) -> Control:
        return Control(self.server.http_url)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command of `vigil-serve`."""
        line = [sys.executable, "-m", "stages.release", *words, "--params", str(self.params)]
        line += ["--url", self.server.http_url, "--grpc-url", self.server.grpc_url]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str) -> tuple[int, str]:
        """Run one to its end; return its exit code and all that it said."""
        out, err = (process := self.start(*words)).communicate(timeout=120)
        return process.returncode, out + err

    def canary(self, *words: str) -> tuple[int, str]:
        return self.run("canary", "tiny", "--front", self.front, *words)

    def rule(self, **changes: Any) -> None:
        """Write the parameters with another rule."""
        values = config().model_dump(mode="json")
        values["canary"] = {**RULE, **changes}
        values["serve"] |= {"front_port": 0, "front_grpc_port": 0}
        remote = isinstance(self.live.storage, S3Storage)
        values["release"]["repository"] = self.live.storage.url if remote else "live"
        self.params.write_text(yaml.safe_dump(values, allow_unicode=True))

    def hold(self, folder: Path) -> int:
        """Bring a model folder as a version that waits."""
        candidate = Candidate.at(folder)
        told = {"sha256": candidate.sha256, "traced": False}
        return hold(self.live, candidate, plants.verdict(self.live, candidate), told, 50)


@dataclass
class Callers:
    """Requests one after the other from several threads, each answer held against its version's.

    Half of them come over HTTP and half over gRPC.
    """

    service: Service
    versions: Counter[str] = field(default_factory=Counter)
    ways: set[tuple[str, str]] = field(default_factory=set)  # protocol, version
    faults: list[str] = field(default_factory=list)

    @contextmanager
    def calling(self) -> Iterator[Callers]:
        stop, wanted = threading.Event(), {}
        doors: list[tuple[TransportName, str]] = [
            ("http", self.service.front), ("grpc", self.service.front_grpc)
        ]  # fmt: skip
        feeds = [networks.clips(1 + seed % 3, seed) for seed in range(20)]
        for number in self.service.live.numbers():
            session = OnnxSession(self.service.live.version(number) / "model.onnx", device="cpu")
            try:
                wanted[str(number)] = [session.run(one)["probabilities"] for one in feeds]
            except VigilError:
                wanted[str(number)] = None  # it fails on real requests
            except Exception:  # as ONNX Runtime says it
                wanted[str(number)] = None

        def call(turn: int) -> None:
            protocol, where = doors[turn % 2]
            with Client(where, protocol, timeout_s=20) as client:
                while not stop.is_set():
                    turn = (turn + 1) % len(feeds)
                    try:
                        answer = client.infer("tiny", feeds[turn])
                        right = wanted[version_of(answer)]
                        np.testing.assert_allclose(answer["probabilities"], right[turn], atol=1e-4)
                        self.versions[version_of(answer)] += 1
                        self.ways.add((protocol, version_of(answer)))
                    except Exception as error:
                        self.faults.append(repr(error))
                    time.sleep(0.005)

        threads = [threading.Thread(target=call, args=(3 * n,)) for n in range(_CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@contextmanager
def service(folder: Path, place: str | None = None) -> Iterator[Service]:
    """Serve version 1 of `tiny` from `place`, by default a folder, with a front before it."""
    live = LiveModel(place or folder / "live", "tiny")
    plants.release(live, plants.model(folder / "old"))
    with EmbeddedTriton(live.storage.url, ["tiny"]) as server:
        found = Service(live, server, "", "", folder / "params.yaml")
        found.rule()
        front = found.start("front")
        try:
            assert front.stdout is not None
            found.front, found.front_grpc = (front.stdout.readline().split()[2] for _ in "12")
            yield found
        finally:
            front.send_signal(signal.SIGTERM)
            _, err = front.communicate(timeout=30)
            assert front.returncode == 0, err
            assert "Traceback" not in err, err


def another(folder: Path, scale: float = plants.SCALE) -> Path:
    """Write a model folder: the same network, or with a negative scale one that disagrees."""
    found = plants.model(folder)
    networks.recognizer(found / "1" / "model.onnx", scale=scale)
    return found


def fails_on_people(graph: onnx.GraphProto) -> None:
    """Look a row up that exists for zeros alone: it loads and answers probes, and then fails."""
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "only"))
    graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "half"))
    nodes = [
        helper.make_node("ReduceMax", ["keypoints"], ["most"], keepdims=0),
        helper.make_node("Ceil", ["most"], ["up"]),
        helper.make_node("Cast", ["up"], ["index"], to=onnx.TensorProto.INT64),
        helper.make_node("Gather", ["only", "index"], ["nought"]),
        helper.make_node("Add", ["place", "nought"], ["later"]),
    ]
    plants._after_place(graph, nodes, "later")


def kill(process: subprocess.Popen[str]) -> None:
    """End a command as the kernel would."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
