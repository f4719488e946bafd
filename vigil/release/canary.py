"""A candidate on live traffic: it answers a share of the requests, or silently gets copies of them.

The router sits with the caller and is a `Session` like any other. Of the sampled requests both
models are asked, so that class and latency are compared on the same rows; whatever happens to the
candidate, the caller gets an answer. A rule ends the trial: promoted, or withdrawn.
"""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

from vigil.config import CanarySection
from vigil.errors import VigilError
from vigil.evaluation.metrics import wilson
from vigil.release.candidate import Candidate
from vigil.release.durable import copy, replace_text
from vigil.serving.control import Control
from vigil.serving.repository import LABELS, read_config, render_config
from vigil.session import Array, Session

Mode = Literal["canary", "shadow"]
State = Literal["running", "promoted", "withdrawn"]
_EARLY = 20  # compared requests before a bad agreement may end a trial early
_COPIES = 2  # silent requests under way at once
_WAITING = 32  # silent requests that may wait; further ones are dropped, never queued without end


@dataclass
class Tally:
    """What a trial has seen.

    Attributes:
        requests: requests that both models answered.
        rows: their rows.
        agreed: rows of the same class.
        failures: requests that the candidate failed and the served model answered.
        dropped: copies that were not sent, because too many were waiting.
        served_s: seconds of each compared request at the served model.
        candidate_s: likewise at the candidate.
    """

    requests: int = 0
    rows: int = 0
    agreed: int = 0
    failures: int = 0
    dropped: int = 0
    served_s: list[float] = field(default_factory=list)
    candidate_s: list[float] = field(default_factory=list)

    @property
    def agreement(self) -> float:
        """Share of rows to which both give the same class."""
        return self.agreed / self.rows if self.rows else 1.0

    @property
    def slowdown(self) -> float:
        """Median latency of the candidate over that of the served model."""
        return median(self.candidate_s) / median(self.served_s) if self.served_s else 1.0


@dataclass(frozen=True)
class Decision:
    """Where a trial stands, and why."""

    state: State
    reason: str


def decide(tally: Tally, params: CanarySection) -> Decision:
    """Apply the rule.

    A trial ends early where the candidate fails too often, or where its agreement lies below the
    least by more than chance (its 95 % interval, Wilson); else after the stated number of requests.
    """
    said = (
        f"{tally.requests} requests, agreement {tally.agreement:.3f}, "
        f"{tally.slowdown:.2f} times the latency, {tally.failures} failures"
    )
    if tally.failures > params.max_failures:
        return Decision("withdrawn", f"it fails: {said}")
    hopeless = wilson(tally.agreed, tally.rows)[1] < params.min_agreement
    if tally.requests >= _EARLY and hopeless:
        return Decision("withdrawn", f"it disagrees: {said}")
    if tally.requests < params.requests:
        return Decision("running", said)
    if tally.agreement < params.min_agreement:
        return Decision("withdrawn", f"it disagrees: {said}")
    if tally.slowdown > params.max_slowdown:
        return Decision("withdrawn", f"it is slow: {said}")
    return Decision("promoted", said)


class Trial:
    """Routes requests between the served model and a candidate; a context manager.

    Safe to call from several threads. Once the trial is over the served model answers everything.
    """

    def __init__(
        self,
        served: Session,
        candidate: Session,
        mode: Mode,
        params: CanarySection,
        on_end: Callable[[Decision], None] = lambda _: None,
        output: str = "probabilities",
    ) -> None:
        """Prepare a trial.

        Args:
            served: the model that serves.
            candidate: the one that might.
            mode: `canary`: the candidate answers the sampled requests; `shadow`: it gets copies.
            params: the share and the rule.
            on_end: called once, from any thread, with the decision that ends the trial.
            output: the output whose largest value is the class of a row.
        """
        self.served, self.candidate, self.mode, self.params = served, candidate, mode, params
        self.tally = Tally()
        self.decision = Decision("running", "")
        self._on_end, self._output = on_end, output
        self._lock = threading.Lock()
        self._random = random.Random(0)  # noqa: S311 (whom to sample is no secret)
        self._pool = ThreadPoolExecutor(_COPIES)
        self._room = threading.BoundedSemaphore(_COPIES + _WAITING)

    def __enter__(self) -> Trial:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the silent requests under way."""
        self._pool.shutdown()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Answer one batch; see `vigil.session.Session.run`."""
        with self._lock:
            over = self.decision.state != "running"
            sampled = not over and self._random.random() < self.params.share
        if not sampled:
            return self.served.run(feeds)
        if self.mode == "shadow":
            answer, seconds = _timed(self.served, feeds)
            self._silently(lambda: self._compare(feeds, answer, seconds, self.candidate))
            return answer
        try:
            answer, seconds = _timed(self.candidate, feeds)
        except VigilError:
            answer = self.served.run(feeds)  # a request that is itself wrong fails here as well
            self._failed()
            return answer
        self._silently(lambda: self._compare(feeds, answer, seconds, self.served))
        return answer

    def _silently(self, work: Callable[[], None]) -> None:
        if not self._room.acquire(blocking=False):
            with self._lock:
                self.tally.dropped += 1
            return

        def then_leave() -> None:
            try:
                work()
            finally:
                self._room.release()

        self._pool.submit(then_leave)

    def _compare(
        self, feeds: Mapping[str, Array], first: Mapping[str, Array], seconds: float, other: Session
    ) -> None:
        """Ask the other model the same and count."""
        try:
            second, also = _timed(other, feeds)
        except VigilError:
            if other is self.candidate:
                self._failed()
            return
        same = first[self._output].argmax(-1) == second[self._output].argmax(-1)
        candidate_s, served_s = (also, seconds) if other is self.candidate else (seconds, also)
        with self._lock:
            self.tally.requests += 1
            self.tally.rows += same.size
            self.tally.agreed += int(same.sum())
            self.tally.served_s.append(served_s)
            self.tally.candidate_s.append(candidate_s)
        self._judge()

    def _failed(self) -> None:
        with self._lock:
            self.tally.failures += 1
        self._judge()

    def _judge(self) -> None:
        with self._lock:
            if self.decision.state != "running":
                return
            self.decision = decision = decide(self.tally, self.params)
        if decision.state != "running":
            self._on_end(decision)


@contextmanager
def beside(repository: Path, candidate: Candidate, servers: Sequence[Control]) -> Iterator[str]:
    """Serve a candidate under a name of its own while the block runs.

    Args:
        repository: the live repository.
        candidate: the candidate.
        servers: those that serve it.

    Yields:
        The name: the model's with `_canary` behind it.

    Raises:
        ModelError, ServerError: a server does not load it, or does not answer.
    """
    name = f"{candidate.name}_canary"
    folder = repository / name
    shutil.rmtree(folder, ignore_errors=True)  # of a trial that was killed
    (folder / "1").mkdir(parents=True)
    try:
        copy(candidate.files["model.onnx"], folder / "1" / "model.onnx")
        copy(candidate.files[LABELS], folder / LABELS)
        config = read_config(candidate.folder)
        config.name = name
        config.version_policy.Clear()
        replace_text(folder / "config.pbtxt", render_config(config))
        for server in servers:
            server.load(name)
        yield name
    finally:
        for server in servers:
            with suppress(VigilError):  # a server that is gone serves no candidate either
                server.unload(name)
        shutil.rmtree(folder, ignore_errors=True)


def _timed(session: Session, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
    began = time.perf_counter()
    answer = session.run(feeds)
    return answer, time.perf_counter() - began
