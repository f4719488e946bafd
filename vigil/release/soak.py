"""A long load with good requests, bad ones and reloads: is the memory flat, is anything lost?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.errors import ServerError, VigilError
from vigil.serving.control import Control
from vigil.serving.probe import Probe, probe_of
from vigil.serving.repository import read_config
from vigil.serving.server import EmbeddedTriton

_CALLERS = 4
_TIMEOUT_S = 30.0
_SAMPLE_S = 1.0
_GROWTH = 0.05  # of the server's memory, from the second quarter of the time to the last


@dataclass(frozen=True)
class Soak:
    """What a soak saw.

    Attributes:
        seconds: how long it took.
        answered: good requests that were answered.
        failed: good requests that were not.
        refused: bad requests, all of them refused.
        reloads: times that the model was loaded anew meanwhile.
        memory_mib: resident memory of the server and its stubs: medians of the quarters.
        growth: of the last quarter over the second.
        first_failure: message of the first failed request, or "".
    """

    seconds: float
    answered: int
    failed: int
    refused: int
    reloads: int
    memory_mib: tuple[float, float, float, float]
    growth: float
    first_failure: str

    @property
    def flat(self) -> bool:
        """Whether memory does not grow."""
        return self.growth <= _GROWTH

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"flat": self.flat}


def soak(
    repository: Path,
    model: str,
    seconds: float,
    reload_s: float,
    on_sample: Callable[[float, float], None] = lambda _seconds, _mib: None,
) -> Soak:
    """Load a model of a repository for `seconds`.

    Args:
        repository: a model repository.
        model: which of its models.
        seconds: how long.
        reload_s: seconds between two reloads under load.
        on_sample: called every second with the time so far and the memory in MiB.

    Raises:
        ServerError: the server does not start, or ends by itself.
    """
    seen: dict[str, Any] = {"answered": 0, "failed": 0, "refused": 0, "first": ""}
    lock, stop, samples, reloads = threading.Lock(), threading.Event(), [], 0
    with EmbeddedTriton(repository, [model]) as server:
        control = Control(server.http_url)
        good = probe_of(read_config(repository / model))
        if good is None:
            raise ServerError(f"soak: {model}: expected a model that answers once a request")
        bad = Probe(good.path, good.body[: len(good.body) // 2], dict(good.headers))
        work = (good, bad, server.http_url, seen, lock, stop)
        callers = [threading.Thread(target=_call, args=work) for _ in range(_CALLERS)]
        for caller in callers:
            caller.start()
        began = time.monotonic()
        try:
            while (spent := time.monotonic() - began) < seconds:
                if not server.running:
                    raise ServerError(f"soak: tritonserver ended by itself\n{server.log_tail()}")
                samples.append(_memory_mib())
                on_sample(spent, samples[-1])
                if spent > (reloads + 1) * reload_s:
                    reloads += 1
                    config = read_config(repository / model)
                    config.parameters["soak"].string_value = str(reloads)
                    control.load(model, config)
                time.sleep(_SAMPLE_S)
        finally:
            stop.set()
            for caller in callers:
                caller.join()
    return _sum_up(seconds, seen, reloads, samples)


def _call(
    good: Probe, bad: Probe, url: str, seen: dict[str, Any], lock: Any, stop: threading.Event
) -> None:
    """Ask again and again, every tenth time something that cannot be parsed."""
    turn = 0
    while not stop.is_set():
        turn += 1
        wrong, reason = turn % 10 == 0, ""
        try:
            (bad if wrong else good).send(url, _TIMEOUT_S)
        except VigilError as error:
            reason = str(error)
        key = ("refused" if reason else "failed") if wrong else ("failed" if reason else "answered")
        with lock:
            seen[key] += 1
            if key == "failed":
                seen["first"] = seen["first"] or reason or "a bad request was answered"


def _memory_mib() -> float:
    """Return the resident memory of this program's children: the server and its stubs."""
    import psutil

    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return total / 2**20


def _sum_up(seconds: float, seen: Mapping[str, Any], reloads: int, samples: list[float]) -> Soak:
    quarters = [float(np.median(part)) for part in np.array_split(np.array(samples), 4)]
    first, second, third, last = quarters
    return Soak(
        seconds, seen["answered"], seen["failed"], seen["refused"], reloads,
        (first, second, third, last), last / second - 1, seen["first"],
    )  # fmt: skip
