"""One line of a benchmark: everything that the windows of one system at one load say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from vigil.benchmark.counters import ServerCounters
from vigil.benchmark.schedule import Load, Open, Seconds
from vigil.benchmark.statistics import (
    CURVE,
    agree,
    lag,
    latency_intervals,
    percentiles_ms,
    scheduled,
    service,
    throughput_interval,
    timeline,
)
from vigil.benchmark.systems import System
from vigil.benchmark.usage import Usage
from vigil.benchmark.window import TIMEOUT, Window

_CLIENT_LIMIT = 0.9  # of the time: the client is one event loop


@dataclass(frozen=True)
class Measured:
    """A window and what went on around it.

    Attributes:
        window: its requests.
        counted: what the server counted, None without one.
        before: usage as it opened.
        after: usage as it closed.
        wrong: what is wrong with wrong answers, one line each.
        checked: how many answers were compared with what is right.
    """

    window: Window
    counted: ServerCounters | None
    before: Usage
    after: Usage
    wrong: tuple[str, ...] = ()
    checked: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the benchmark; fields are named as in `reports/benchmark.json`.

    Latencies are in milliseconds, those called `schedule` from when a request was due, the others
    from when it was sent; timeouts are among them with what they had waited, other failures are
    not. Fields are None where they say nothing: the schedule's without a clock, the server's
    without a server. Throughput counts rows, not requests.
    """

    system: str
    protocol: str
    load: str
    concurrency: int
    offered_per_s: float | None
    batch: int
    n: int
    windows: int
    stable: bool
    spread: float | None
    valid: bool
    why_invalid: str
    throughput_per_s: float
    throughput_low: float
    throughput_high: float
    p50_ms: float | None
    p50_low: float | None
    p50_high: float | None
    p90_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p99_low: float | None
    p99_high: float | None
    max_ms: float | None
    worst_ms: float | None
    schedule_p50_ms: float | None
    schedule_p99_ms: float | None
    schedule_max_ms: float | None
    lag_p99_ms: float | None
    lag_max_ms: float | None
    errors: int
    timeouts: int
    checked: int
    wrong: int
    why_wrong: str
    queue_ms: float | None
    compute_input_ms: float | None
    compute_infer_ms: float | None
    compute_output_ms: float | None
    executed_batch_mean: float | None
    client_cores: float | None
    client_busy: float | None
    client_us_per_request: float | None
    server_cores: float | None
    server_memory_gib: float | None
    gpu_percent: float | None
    gpu_memory_gib: float | None
    failures: list[dict[str, Any]] = field(default_factory=list)
    batches: dict[int, int] = field(default_factory=dict)
    curve: list[list[float | None]] = field(default_factory=list)
    timeline: list[list[float | None]] = field(default_factory=list)

    @property
    def in_flight(self) -> int:
        """Rows that are asked about at the same time."""
        return self.concurrency * self.batch

    @property
    def title(self) -> str:
        """Return the load in a few characters, e.g. `c=16`, `c=4x16` or `poisson 200/s`."""
        if self.offered_per_s is None:
            return f"c={self.concurrency}" + (f"x{self.batch}" if self.batch > 1 else "")
        return f"{self.load} {self.offered_per_s:g}/s"

    def as_dict(self) -> dict[str, Any]:
        """Return the row as plain values, rounded to what is meaningful."""
        return {key: _plain(value) for key, value in asdict(self).items()}


FLAT = [entry.name for entry in fields(Row)][:-4]  # what fits into a line of a CSV


def summarize(
    system: System,
    load: Load,
    measured: Sequence[Measured],
    tolerance: float = 0.1,
    max_lag_ms: float = 10.0,
) -> Row:
    """Turn the windows of one system at one load into a row.

    Where the last three windows agree, they are what counts; where none did, all are.

    Args:
        system: what was measured.
        load: under what.
        measured: its windows in order, at least one.
        tolerance: largest spread of windows that agree.
        max_lag_ms: p99 of the client's own lag beyond which its clock is not to be relied on.
    """
    stable, apart = agree([one.window for one in measured], tolerance, isinstance(load, Open))
    kept = measured[-3:] if stable else measured
    windows = [one.window for one in kept]
    seconds = sum(window.seconds for window in windows)
    latency = np.concatenate([service(window) for window in windows])
    errors = sum(int((window.code > 0).sum()) for window in windows)
    clock: dict[str, Any] = _clock(windows) if isinstance(load, Open) else dict.fromkeys(_CLOCK)
    why = _why_invalid(system, windows, clock["lag_p99_ms"], max_lag_ms)
    low, high = throughput_interval(windows)
    worst = [service(one.window).max() for one in measured if one.window.timed.any()]
    return Row(
        system=system.name,
        protocol=system.protocol,
        load=load.name,
        concurrency=max(window.concurrency for window in windows),
        offered_per_s=load.rate_per_s if isinstance(load, Open) else None,
        batch=system.batch,
        n=len(latency),
        windows=len(measured),
        stable=stable,
        spread=apart if np.isfinite(apart) else None,
        valid=not why,
        why_invalid=why,
        throughput_per_s=system.batch * sum(len(w.completed) for w in windows) / seconds,
        throughput_low=system.batch * low,
        throughput_high=system.batch * high,
        **_latency(windows, latency),
        worst_ms=float(max(worst)) * 1e3 if worst else None,
        **clock,
        errors=errors,
        timeouts=sum(_count(window, TIMEOUT) for window in windows),
        checked=sum(one.checked for one in measured),
        wrong=sum(len(one.wrong) for one in measured),
        why_wrong=next((why for one in measured for why in one.wrong), ""),
        **_server(kept),
        **_cost(system, kept, seconds),
        failures=_failures(windows),
        curve=_curve(windows, isinstance(load, Open)),
        timeline=[list(line) for line in timeline([one.window for one in measured])],
    )


_CLOCK = ("schedule_p50_ms", "schedule_p99_ms", "schedule_max_ms", "lag_p99_ms", "lag_max_ms")


def _clock(windows: Sequence[Window]) -> dict[str, Any]:
    waited = np.concatenate([scheduled(window) for window in windows])
    late = np.concatenate([lag(window) for window in windows])
    values = percentiles_ms(waited, (50, 99, 100)) + percentiles_ms(late, (99, 100))
    return dict(zip(_CLOCK, values, strict=True))


def _latency(windows: Sequence[Window], latency: Seconds) -> dict[str, Any]:
    names = ("p50_ms", "p90_ms", "p95_ms", "p99_ms", "max_ms")
    found: dict[str, Any] = dict(zip(names, percentiles_ms(latency), strict=True))
    for name, pair in zip(
        ("p50", "p99"), latency_intervals(windows, service, (50, 99)), strict=True
    ):
        found[f"{name}_low"], found[f"{name}_high"] = pair or (None, None)
    return found


def _why_invalid(
    system: System, windows: Sequence[Window], lag_p99_ms: float | None, max_lag_ms: float
) -> str:
    """Say why the client, and not the system, may be what was measured."""
    if system.served:
        share = sum(w.client_busy_s for w in windows) / sum(w.seconds for w in windows)
        if share > _CLIENT_LIMIT:
            return f"the client was the bottleneck: busy {share:.0%} of the time"
    if lag_p99_ms is not None and lag_p99_ms > max_lag_ms:
        return f"the client was late: p99 of its lag is {lag_p99_ms:.1f} ms"
    return ""


def _server(measured: Sequence[Measured]) -> dict[str, Any]:
    total = ServerCounters()
    for one in measured:
        total = total.plus(one.counted or ServerCounters())
    phases = ("queue", "compute_input", "compute_infer", "compute_output")
    return {
        **{f"{name}_ms": total.mean_ms(name) for name in phases},
        "executed_batch_mean": total.mean_batch,
        "batches": dict(sorted(total.batches.items())),
    }


def _cost(system: System, measured: Sequence[Measured], seconds: float) -> dict[str, Any]:
    """Return what client, server and GPU used; in process, the client is the server."""
    client = sum(one.window.client_cpu_s for one in measured)
    busy_s = sum(one.window.client_busy_s for one in measured)
    requests = sum(len(one.window.due) for one in measured)
    server = sum(one.after.cpu_s - one.before.cpu_s for one in measured)
    known = bool(system.processes)
    busy = [one.after.gpu_percent for one in measured if one.after.gpu_percent is not None]
    held = [one.after.gpu_memory_gib for one in measured if one.after.gpu_memory_gib is not None]
    return {
        "client_cores": client / seconds if system.served else None,
        "client_busy": busy_s / seconds if system.served else None,
        "client_us_per_request": client / requests * 1e6 if requests and system.served else None,
        "server_cores": server / seconds if known else None,
        "server_memory_gib": max(one.after.memory_gib for one in measured) if known else None,
        "gpu_percent": max(busy, default=None),
        "gpu_memory_gib": max(held, default=None),
    }


def _failures(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Return each kind of failure with its number, latencies and first message."""
    found = []
    for kind in sorted({kind for window in windows for kind in window.kinds} - {""}):
        spent = np.concatenate(
            [(w.done - w.sent)[w.code == w.kinds.index(kind)] for w in windows if kind in w.kinds]
        )
        message = next(w.messages[w.kinds.index(kind)] for w in windows if kind in w.kinds)
        if len(spent):
            half, most = percentiles_ms(spent, (50, 100))
            found.append(
                {"kind": kind, "n": len(spent), "p50_ms": half, "max_ms": most, "first": message}
            )
    return found


def _curve(windows: Sequence[Window], by_clock: bool) -> list[list[float | None]]:
    """Return (percentile, ms from sending, ms from when due or None) lines."""
    spent = np.concatenate([service(window) for window in windows])
    waited = np.concatenate([scheduled(window) for window in windows]) if by_clock else spent[:0]
    columns = (CURVE, percentiles_ms(spent, CURVE), percentiles_ms(waited, CURVE))
    return [list(line) for line in zip(*columns, strict=True)]


def _count(window: Window, kind: str) -> int:
    return int((window.code == window.kinds.index(kind)).sum()) if kind in window.kinds else 0


def _plain(value: Any) -> Any:
    """Round numbers and make not-a-number None, through lists and dictionaries."""
    if isinstance(value, float):
        return round(value, 4) if np.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    return value
