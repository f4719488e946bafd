"""The report's pictures: latency against throughput, percentiles, batches, time, batch gain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vigil.benchmark.claims import TITLES
from vigil.benchmark.row import Row
from vigil.figures import save_png, svg_uri

if TYPE_CHECKING:
    from vigil.benchmark.report import Report

_COLORS = {
    "pytorch": "#999999",
    "pytorch_batched": "#c4a484",
    "onnxruntime": "#222222",
    "onnxruntime_batched": "#7b3294",
    "triton_no_batching": "#1f77b4",
    "triton_dynamic_batching": "#d95f02",
}
_STYLES = {"http": "--", "grpc": "-", "http_shm": ":", "grpc_shm": "-."}
Lines = tuple[list[str], list[dict[str, Any]]]


def draw(path: Path, report: Report) -> None:
    """Draw throughput, p99 and G(b) of a `Report` into a PNG."""

    def fill(figure: Any) -> None:
        axes = figure.subplots(1, 3)
        _throughput(axes[0], report.rows)
        _latency(axes[1], report.rows)
        _gain(axes[2], report)
        environment = report.environment
        gpu = environment.get("gpu", "none")
        device = environment.get("cpu", "") if gpu == "none" else gpu
        axes[0].set_title(
            f"{report.model} on {device}, {environment.get('cores')} cores", fontsize=10
        )

    save_png(path, fill, (13, 4.2), 110)


def plots(report: Report) -> dict[str, Lines]:
    """Return the tables of DVC's plots: columns and lines by name."""

    def name(row: Row) -> str:
        return f"{row.system}, {row.protocol}, {row.title}"

    latency = [
        {"system": f"{row.system} {row.protocol}",
         "throughput_per_s": round(row.throughput_per_s, 2), "p50_ms": row.p50_ms,
         "p99_ms": row.p99_ms}
        for row in report.rows
    ]  # fmt: skip
    curve = [
        {"row": name(row), "percentile": at, "ms": spent if waited is None else waited}
        for row in report.rows for at, spent, waited in row.curve
    ]  # fmt: skip
    batches = [
        {"row": name(row), "batch": batch, "executions": count}
        for row in report.rows for batch, count in row.batches.items()
    ]  # fmt: skip
    time = [
        {"row": name(row), "second": second, "answers_per_s": rate, "p99_ms": p99}
        for row in report.rows for second, rate, _, p99 in row.as_dict()["timeline"]
    ]  # fmt: skip
    return {
        "latency_throughput": (["system", "throughput_per_s", "p50_ms", "p99_ms"], latency),
        "percentiles": (["row", "percentile", "ms"], curve),
        "batches": (["row", "batch", "executions"], batches),
        "timeline": (["row", "second", "answers_per_s", "p99_ms"], time),
    }


def figures(report: Report) -> str:
    """Return a report's pictures as HTML."""
    rows: Sequence[Row] = report.rows
    figures: list[tuple[str, Callable[[Any], None]]] = [
        ("Latency against throughput", lambda ax: _against(ax, rows)),
        ("Throughput against rows in flight", lambda ax: _throughput(ax, rows)),
        ("Percentiles at the highest load", lambda ax: _percentiles(ax, rows)),
        ("Executed batches", lambda ax: _batches(ax, rows)),
        ("Over time, at the highest load", lambda ax: _time(ax, rows)),
    ]
    if report.gains:
        figures.append(("Batch gain of the device itself", lambda ax: _gain(ax, report)))
    images = []
    for title, fill in figures:
        address = svg_uri(lambda figure, fill=fill: fill(figure.subplots()), (6.2, 4.2))  # type: ignore[misc]
        images.append(
            f'<figure><img alt="{escape(title)}" src="{address}">'
            f"<figcaption><small>{escape(title)}</small></figcaption></figure>"
        )
    return '<div style="display:grid;grid-template-columns:1fr 1fr;gap:.5rem">{}</div>'.format(
        "\n".join(images)
    )


def _series(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group closed-loop rows by system and protocol, by callers; those without answers go."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.in_flight):
        if row.n and row.load == "closed":
            lines.setdefault((row.system, row.protocol), []).append(row)
    return lines


def _look(system: str, protocol: str) -> dict[str, Any]:
    shown = TITLES.get(system, system)
    return {
        "marker": "o",
        "markersize": 4,
        "color": _COLORS.get(system),
        "linestyle": _STYLES.get(protocol, "-"),
        "label": f"{shown} ({protocol.replace('_', ' ')})",
    }


def _against(ax: Any, rows: Sequence[Row]) -> None:
    for key, mine in _series(rows).items():
        ax.plot([r.throughput_per_s for r in mine], [r.p99_ms for r in mine], **_look(*key))
    ax.set(xlabel="rows per second", ylabel="p99 latency, ms")
    _plain_log(ax)
    ax.set_xlim(left=0)
    _legend(ax)


def _throughput(ax: Any, rows: Sequence[Row]) -> None:
    for key, mine in _series(rows).items():
        places = [r.in_flight for r in mine]
        [line] = ax.plot(places, [r.throughput_per_s for r in mine], **_look(*key))
        low, high = [r.throughput_low for r in mine], [r.throughput_high for r in mine]
        ax.fill_between(places, low, high, alpha=0.15, color=line.get_color())
    ax.set(xscale="log", xlabel="rows in flight", ylabel="rows per second")
    ax.set_ylim(bottom=0)
    _plain_ticks(ax, sorted({row.in_flight for row in rows if row.load == "closed"}))


def _latency(ax: Any, rows: Sequence[Row]) -> None:
    for key, mine in _series(rows).items():
        ax.plot([r.in_flight for r in mine], [r.p99_ms for r in mine], **_look(*key))
    ax.set(xscale="log", xlabel="rows in flight", ylabel="p99 latency, ms")
    _plain_log(ax)
    _plain_ticks(ax, sorted({row.in_flight for row in rows if row.load == "closed"}))
    _legend(ax)


def _highest(rows: Sequence[Row]) -> list[Row]:
    """Return of each system and protocol the rows of most callers and of the highest rate."""
    found: dict[tuple[str, str, bool], Row] = {}
    for row in rows:
        by_clock = row.offered_per_s is not None
        key = (row.system, row.protocol, by_clock)
        if row.n and (key not in found or _level(row) > _level(found[key])):
            found[key] = row
    return list(found.values())


def _level(row: Row) -> float:
    return row.in_flight if row.offered_per_s is None else row.offered_per_s


def _percentiles(ax: Any, rows: Sequence[Row]) -> None:
    """Draw percentiles over 1/(1-q), where a tail is a rising line."""
    from matplotlib.ticker import NullLocator

    for row in _highest(rows):
        points = [
            (100 / (100 - at), spent if waited is None else waited)
            for at, spent, waited in row.curve
            if at is not None and at < 100
        ]
        look = _look(row.system, row.protocol)
        look["label"] = f"{look['label']} {row.title}"
        if row.offered_per_s is not None:
            look["marker"] = "x"
        ax.plot([at for at, _ in points], [ms for _, ms in points], **look)
    ax.set(xscale="log", xlabel="percentile", ylabel="latency, ms")
    _plain_log(ax)
    ticks = (50, 90, 99, 99.9, 99.99)
    ax.set_xticks([100 / (100 - tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    _legend(ax)


def _batches(ax: Any, rows: Sequence[Row]) -> None:
    mine = [row for row in _highest(rows) if row.batches and row.executed_batch_mean]
    width = 0.8 / max(len(mine), 1)
    sizes = sorted({size for row in mine for size in row.batches})
    for place, row in enumerate(mine):
        total = sum(row.batches.values())
        shares = [row.batches.get(size, 0) / total for size in sizes]
        look = _look(row.system, row.protocol)
        ax.bar(
            [i + (place - len(mine) / 2 + 0.5) * width for i in range(len(sizes))],
            shares, width, color=look["color"], alpha=0.4 + 0.6 * (place % 2),
            label=f"{look['label']} {row.title}",
        )  # fmt: skip
    ax.set(xlabel="rows of an execution", ylabel="share of executions")
    ax.set_xticks(range(len(sizes)), [str(size) for size in sizes])
    _legend(ax)


def _time(ax: Any, rows: Sequence[Row]) -> None:
    for row in _highest(rows):
        look = _look(row.system, row.protocol) | {"marker": "", "linewidth": 1}
        seconds = [line[0] for line in row.timeline]
        ax.plot(seconds, [line[1] for line in row.timeline], **look)
    ax.set(xlabel="seconds measured", ylabel="answers per second")
    ax.set_ylim(bottom=0)


def _gain(ax: Any, report: Report) -> None:
    gains = report.gains
    ax.plot([g.batch for g in gains], [g.gain for g in gains], "o-k")
    ax.axhline(1, color="#bbbbbb", linewidth=1, zorder=0)
    ax.set(xscale="log", xlabel="batch b", ylabel="G(b): rows per second over batch 1")
    ax.set_ylim(bottom=0)
    _plain_ticks(ax, [gain.batch for gain in gains])


def _plain_ticks(ax: Any, values: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    ax.set_xticks(values, [str(value) for value in values])
    ax.xaxis.set_minor_locator(NullLocator())


def _plain_log(ax: Any) -> None:
    """Give the vertical axis a logarithmic scale with numbers written out."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))


def _legend(ax: Any) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=6, handlelength=3)
