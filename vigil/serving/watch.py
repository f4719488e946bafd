"""A watchdog: notices instances that died while every ready endpoint says ready, and repairs them.

Triton never restarts a dead stub of its Python backend: that instance fails for ever. The watchdog
looks at every loaded model in turn. A model that has answered since the last look without a new
failure is well and costs one read of counters; any other is asked rows of zeros, enough to meet
every instance. Where the server fails at them, or a stub is gone from its machine, the model is
loaded anew beside itself, so that the instances that live keep answering meanwhile; where that does
not help, it is unloaded and loaded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from vigil.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ServerError,
    ServerUnavailable,
    VigilError,
)
from vigil.serving.control import Control
from vigil.serving.probe import probe_of
from vigil.serving.repository import ModelConfig

_LONGEST_PAUSE_S = 60.0
_SETTLE_S = 0.1
_GRACE_S = 5.0  # for requests that the replaced instances still hold
_MARK = "vigil_repaired_at"  # changes the configuration, or Triton would see nothing to load


class Host(Protocol):
    """The machine of a server, where what died can be buried; see `EmbeddedTriton`."""

    def stubs(self, model: str) -> set[int]:
        """Return the process ids of a model's stubs."""

    def bury(self, model: str, stubs: set[int]) -> object:
        """End those of a model's stubs that are left of these, and free their memory."""


@dataclass
class _Patient:
    """What is remembered of one model between two looks."""

    answered: int = -1
    failed: int = 0
    repairs: int = 0
    not_before: float = 0.0


class Watchdog:
    """Looks after every model of one server, from a thread of its own; a context manager."""

    def __init__(
        self,
        http_url: str,
        period_s: float,
        timeout_s: float,
        on_event: Callable[[str], None],
        host: Host | None = None,
    ) -> None:
        """Prepare; `with` starts looking.

        Args:
            http_url: `host:port` of the server's HTTP endpoint.
            period_s: seconds between two looks.
            timeout_s: longest wait for a canary inference, in seconds.
            on_event: called from the thread with one line for a person.
            host: the machine that the server runs on, where that is this one.
        """
        self._control = Control(http_url, timeout_s=60.0)
        self._quick = Control(http_url, timeout_s)
        self._period_s, self._timeout_s = period_s, timeout_s
        self._on_event, self._host = on_event, host
        self._replaced: dict[str, tuple[set[int], float]] = {}  # by model: stubs, when
        self._patients: dict[str, _Patient] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        """Start looking."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking, a repair under way being finished first."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(self._period_s):
            try:
                self.look()
            except VigilError as error:
                self._on_event(f"watch: {error}")
            except Exception as error:  # of one model's odd answer: the others need the watchdog
                self._on_event(f"watch: {type(error).__name__}: {error}")

    def look(self) -> list[str]:
        """Look at every model once and repair what is dead.

        Returns:
            The models that were repaired.

        Raises:
            ServerError: the server does not answer at all.
        """
        ready = self._quick.ready()
        self._patients = {name: self._patients.get(name, _Patient()) for name in ready}
        repaired = []
        for name in ready:
            reason = self._complaint(name, self._patients[name])
            if reason and self._repair(name, reason):
                repaired.append(name)
        for name, (stubs, at) in list(self._replaced.items()):
            if self._host is not None and time.monotonic() - at > _GRACE_S:
                self._host.bury(name, stubs)
                del self._replaced[name]
        return repaired

    def _complaint(self, name: str, patient: _Patient) -> str:
        """Return why a model is dead, or "" where it lives or must not be touched yet."""
        if time.monotonic() < patient.not_before:
            return ""
        try:
            answered, failed = self._quick.counts(name)
            busy = patient.answered >= 0 and answered > patient.answered
            if busy and failed <= patient.failed:
                patient.answered = answered
                return ""
            reason = self._ask(name, answered) or self._missing(name)
            self._remember(name, patient)
        except ModelNotFound:
            return ""  # unloaded between two questions
        return reason

    def _missing(self, name: str) -> str:
        """Say how many instances lack their stub; callers may keep the canaries away from those."""
        count = instances(self._quick.config(name))
        alive = len(self._host.stubs(name)) if self._host else 0
        return f"{count - alive} of {count} instances died" if 0 < alive < count else ""

    def _remember(self, name: str, patient: _Patient) -> None:
        """Remember what was answered so far; the watchdog's own questions are no callers.

        Triton counts a request a moment after its answer is out: hence the wait.
        """
        time.sleep(_SETTLE_S)
        try:
            patient.answered, patient.failed = self._quick.counts(name)
        except ServerError:
            patient.answered = -1

    def _ask(self, name: str, answered: int) -> str:
        """Ask enough rows at once to meet every instance; return the first failure of the server.

        A model that is merely slow to answer while it answers others is not dead.
        """
        config = self._quick.config(name)
        probe = probe_of(config)
        if probe is None:
            return ""

        def once(_: int) -> str:
            try:
                probe.send(self._quick.http_url, self._timeout_s)
            except (InvalidRequest, ModelNotFound):
                return ""
            except DeadlineExceeded as error:
                return "" if self._quick.counts(name)[0] > answered else str(error)
            except ServerError as error:
                return str(error)
            return ""

        count = 2 * instances(config)
        with ThreadPoolExecutor(count) as pool:
            return next((reason for reason in pool.map(once, range(count)) if reason), "")

    def _repair(self, name: str, reason: str) -> bool:
        """Load a model anew; return whether it answers again."""
        self._on_event(f"watch: {name}: {reason}; loading it anew")
        patient, began = self._patients[name], time.monotonic()
        stubs = self._host.stubs(name) if self._host else set()
        patient.repairs += 1
        try:
            reason = self._replace(name)
        except VigilError as error:
            reason = str(error)
        self._remember(name, patient)
        if reason:
            pause = min(_LONGEST_PAUSE_S, self._period_s * 2**patient.repairs)
            patient.not_before = time.monotonic() + pause
            self._on_event(f"watch: {name}: still dead ({reason}); next try in {pause:.0f} s")
            return False
        patient.repairs = 0
        self._replaced[name] = (stubs, time.monotonic())
        self._on_event(f"watch: {name}: answers again after {time.monotonic() - began:.1f} s")
        return True

    def _replace(self, name: str) -> str:
        """Load a model beside itself, and if that is not enough, unload it first."""
        config = self._quick.config(name)
        config.parameters[_MARK].string_value = f"{time.time():.3f}"
        try:
            self._control.load(name, config)
            if not self._ask(name, self._quick.counts(name)[0]):
                return ""
        except ServerUnavailable:
            raise
        except VigilError as error:
            self._on_event(f"watch: {name}: {error}; unloading it")
        self._control.unload(name)
        self._control.load(name)
        return self._ask(name, self._quick.counts(name)[0])


def instances(config: ModelConfig) -> int:
    """Return how many instances of a model Triton runs on one device."""
    return max(1, sum(max(1, int(group.count)) for group in config.instance_group))
