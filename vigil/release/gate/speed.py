"""How long candidate and served model take, in turns on the same server under the same load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from vigil.benchmark.generator import drive
from vigil.benchmark.schedule import Closed
from vigil.benchmark.statistics import percentiles_ms, service
from vigil.benchmark.systems import triton
from vigil.benchmark.window import Window
from vigil.config import GateSection
from vigil.release.gate.check import Check, Feeds
from vigil.session import TransportName

_TOPIC = "speed"
_PERCENTILES = ("p50_ms", "p95_ms")


def speed(
    urls: Mapping[TransportName, str],
    names: Sequence[str],
    rows: Sequence[Feeds],
    params: GateSection,
) -> tuple[list[Check], dict[str, Any]]:
    """Measure latency under the stated load: callers that ask for one row each, again and again.

    Models take turns, the first of a round going last in the next, so that what disturbs the
    machine disturbs both; the median of the rounds' ratios decides.

    Args:
        urls: `host:port` of the server by protocol.
        names: the candidate's name on the server, then the served model's, where there is one,
            and others that are measured beside; the second decides.
        rows: inputs, used in turn, batch axis of size 1.
        params: the load and the largest slowdown.

    Returns:
        The checks, and the figures: `load` in words, and per model the medians of the rounds.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    error = ""
    with ExitStack() as stack:
        systems = {
            name: stack.enter_context(triton(name, "grpc", urls, name, rows)) for name in names
        }
        for turn in range(params.rounds):
            for name in names if turn % 2 else reversed(names):
                lane, callers = systems[name].open_lane, Closed(params.concurrency)
                window = drive(lane, callers, params.seconds, params.warmup_s, turn=turn)
                found[name].append(_figures(window))
                error = error or next((message for message in window.messages if message), "")
    load = (
        f"{params.concurrency} callers over gRPC, one row a request, {params.rounds} rounds of "
        f"{params.seconds:g} s, in turns"
    )
    figures: dict[str, Any] = {
        "load": load,
        "models": {name: _medians(rounds) for name, rounds in found.items()},
    }
    if error:
        return [Check(_TOPIC, "no request fails under load", False, error)], figures
    if len(names) < 2:
        detail = f"nothing is served yet; p50 {figures['models'][names[0]]['p50_ms']:.1f} ms"
        return [Check(_TOPIC, "not slower than served", True, detail)], figures
    checks = []
    for key in _PERCENTILES:
        ratios = np.array([
            new[key] / old[key]
            for new, old in zip(found[names[0]], found[names[1]], strict=True)
        ])  # fmt: skip
        ratio = float(np.median(ratios))
        detail = (
            f"{ratio:.2f} times the {names[1]} model's (rounds {ratios.min():.2f} to "
            f"{ratios.max():.2f}), {params.max_slowdown:g} allowed"
        )
        checks.append(_check(key, ratio <= params.max_slowdown, detail))
    return checks, figures


def _check(key: str, passed: bool, detail: str) -> Check:
    return Check(_TOPIC, f"latency {key.removesuffix('_ms')}", passed, detail)


def _figures(window: Window) -> dict[str, float]:
    latencies = percentiles_ms(service(window), (50, 95, 99))
    p50, p95, p99 = (value or 0.0 for value in latencies)
    return {
        "throughput_per_s": window.throughput_per_s, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99
    }  # fmt: skip


def _medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.median([one[key] for one in rounds])) for key in rounds[0]}
