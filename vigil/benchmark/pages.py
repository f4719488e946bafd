"""The report's page: one file, nothing loaded, every name escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from vigil.benchmark.charts import figures
from vigil.benchmark.claims import TITLES
from vigil.benchmark.limit import shares
from vigil.benchmark.row import Row
from vigil.html import document, made_on, table

if TYPE_CHECKING:
    from vigil.benchmark.report import Report


def page(report: Report) -> str:
    """Return a `Report` as a page."""
    parts = [
        *(f"<p>{escape(part)}</p>" for part in report.findings()),
        figures(report),
        "<h2>Measurements</h2>",
        "<p><small>Latency in milliseconds. Throughput counts rows per second, with a 95 % "
        "interval from resampled blocks of time. “From due” counts from when the clock said "
        "that the request was due: a stall counts for all who came meanwhile. Timeouts are among "
        "the latencies with what they had waited.</small></p>",
        _rows(report.rows),
        *_shares(report.rows),
        *_gains(report),
        *_server(report.rows),
        *_failures(report.rows),
        *_goodput(report),
        made_on(report.environment),
    ]
    return document(f"Benchmark of {report.model}", parts)


def _rows(rows: Sequence[Row]) -> str:
    header = ["system", "protocol", "load", "marks", "n", "per second [95 %]", "p50", "p90",
              "p95", "p99", "max", "p50 from due", "p99 from due", "lag p99, max", "errors",
              "wrong", "windows"]  # fmt: skip
    lines = []
    for row in rows:
        marks = [] if row.stable else [f"not stable ({_percent(row.spread)})"]
        marks += [] if row.valid else [row.why_invalid]
        interval = f"[{row.throughput_low:.1f}, {row.throughput_high:.1f}]"
        lines.append(
            [TITLES.get(row.system, row.system), row.protocol, row.title,
             "; ".join(marks), str(row.n), f"{row.throughput_per_s:.1f} {interval}",
             *map(_ms, (row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms,
             row.max_ms, row.schedule_p50_ms, row.schedule_p99_ms)),
             "–" if row.lag_max_ms is None else f"{_ms(row.lag_p99_ms)}, {_ms(row.lag_max_ms)}",
             str(row.errors), f"{row.wrong} of {row.checked}", str(row.windows)]
        )  # fmt: skip
    return f'<div style="overflow-x:auto">{table(header, lines)}</div>'


def _gains(report: Report) -> list[str]:
    if not report.claims:
        return []
    lines = [
        [claim.protocol, claim.load, f"{claim.served:.2f}", f"{claim.device:.2f}",
         f"{claim.share:.2f}", "" if claim.possible else "impossible as a gain of batching"]
        for claim in report.claims
    ]  # fmt: skip
    header = ["protocol", "load", "served gain", "G(b) of the device", "share", ""]
    return ["<h2>Dynamic batching beside the device's own batch gain</h2>", table(header, lines)]


def _shares(rows: Sequence[Row]) -> list[str]:
    lines = [
        [TITLES.get(share.system, share.system), share.protocol, str(share.batch),
         f"{share.throughput_per_s:.1f}",
         f"{share.of_limit:.3f} [{share.low:.2f}, {share.high:.2f}]", f"{share.wanted:g}",
         _number(share.of_batch, 3), _number(share.added_ms)]
        for share in shares(rows)
    ]  # fmt: skip
    header = ["system", "protocol", "rows a request", "rows/s", "of its best [bounds]", "aim",
              "of the same batch", "ms added at p50, 1 caller"]  # fmt: skip
    return ["<h2>Served beside ONNX Runtime in process</h2>", table(header, lines)] * bool(lines)


def _server(rows: Sequence[Row]) -> list[str]:
    lines = [
        [TITLES.get(row.system, row.system), row.protocol, row.title,
         *map(_ms, (row.queue_ms, row.compute_input_ms, row.compute_infer_ms,
         row.compute_output_ms, row.executed_batch_mean)), _number(row.server_cores),
         _number(row.server_memory_gib), _number(row.client_cores), _number(row.client_busy),
         _number(row.client_us_per_request, 0), _number(row.gpu_percent, 0)]
        for row in rows
        if row.client_cores is not None
    ]  # fmt: skip
    header = ["system", "protocol", "load", "queue ms", "input ms", "infer ms", "output ms",
              "mean batch", "server cores", "server GiB", "client cores", "client busy",
              "client µs/request",               "GPU %"]  # fmt: skip
    return ["<h2>Inside the server, and what the client costs</h2>", table(header, lines)] * bool(
        lines
    )


def _failures(rows: Sequence[Row]) -> list[str]:
    lines = [
        [TITLES.get(row.system, row.system), row.protocol, row.title, found["kind"],
         str(found["n"]), _ms(found["p50_ms"]), _ms(found["max_ms"]), found["first"]]
        for row in rows for found in row.failures
    ]  # fmt: skip
    header = ["system", "protocol", "load", "kind", "n", "p50 ms", "max ms", "first message"]
    return ["<h2>Failed requests</h2>", table(header, lines)] * bool(lines)


def _goodput(report: Report) -> list[str]:
    lines = [
        [TITLES.get(found.system, found.system), found.protocol, f"{found.bound_ms:g}",
         f"{found.rate_per_s:.1f}", f"{found.good_per_s:.1f}",
         ", ".join(f"{p.rate_per_s:.0f}: {_ms(p.p99_ms)}" for p in found.probes)]
        for found in report.goodput
    ]  # fmt: skip
    header = ["system", "protocol", "p99 bound ms", "highest rate/s", "answers in time/s",
              "tried (rate/s: p99 ms)"]  # fmt: skip
    return ["<h2>Highest rate under the bound</h2>", table(header, lines)] * bool(lines)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "no answers" if value is None else f"{value:.0%} apart"
