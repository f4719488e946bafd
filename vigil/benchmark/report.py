"""The benchmark's report: JSON and CSV for programs, a picture and a verdict for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.benchmark.statistics import BatchGain, Row
from vigil.schema import atomic, write_json, write_text

# Inferences per second in the paper's table 3, on its GPU.
PAPER = {"pytorch": 31.289, "triton_no_batching": 36.886, "triton_dynamic_batching": 247.136}
TITLES = {
    "pytorch": "PyTorch, one by one",
    "onnxruntime": "ONNX Runtime, in process",
    "triton_no_batching": "Triton, no batching",
    "triton_dynamic_batching": "Triton, dynamic batching",
}
_COLORS = {
    "pytorch": "#999999",
    "onnxruntime": "#222222",
    "triton_no_batching": "#1f77b4",
    "triton_dynamic_batching": "#d95f02",
}


@dataclass(frozen=True)
class Report:
    """Everything one benchmark found.

    Attributes:
        model: name of the recognizer.
        environment: see `vigil.environment.describe`, with the active providers.
        rows: the measurements.
        gains: the device's own batch gain G(b).
        max_batch: largest batch that Triton was allowed to make.
    """

    model: str
    environment: Mapping[str, Any]
    rows: Sequence[Row]
    gains: Sequence[BatchGain]
    max_batch: int

    @property
    def device_gain(self) -> float:
        """Largest G(b) for a batch that the server could make: no batching can gain more."""
        return max(gain.gain for gain in self.gains if gain.batch <= self.max_batch)

    @property
    def served_gain(self) -> float | None:
        """Throughput of dynamic batching over none, at the most loaded point both have.

        The median over the protocols; None when one of the two systems answered nothing there.
        """
        rates = {
            (row.system, row.protocol, row.concurrency): row.throughput_per_s for row in self.rows
        }
        points = [
            (concurrency, rates["triton_dynamic_batching", protocol, concurrency] / rate)
            for (system, protocol, concurrency), rate in rates.items()
            if system == "triton_no_batching"
            and rate > 0
            and ("triton_dynamic_batching", protocol, concurrency) in rates
        ]
        if not points:
            return None
        most = max(concurrency for concurrency, _ in points)
        gains = sorted(gain for concurrency, gain in points if concurrency == most)
        return gains[(len(gains) - 1) // 2]

    @property
    def claimed_gain(self) -> float | None:
        """What may be said of dynamic batching here: the served gain, at most the device's."""
        return None if self.served_gain is None else min(self.served_gain, self.device_gain)

    def verdict(self) -> str:
        """Say in plain words what batching does on this machine, and what the paper's figure is."""
        served, device, claimed = self.served_gain, self.device_gain, self.claimed_gain
        if served is None or claimed is None:
            return "No verdict: one of the two Triton systems answered nothing."
        text = (
            f"The device's own batch gain G(b) is at most {device:.2f} up to batch "
            f"{self.max_batch}; no server can gain more from batching. "
        )
        if served > device:
            text += (
                f"Served, dynamic batching measured {served:.2f} times no batching; what exceeds "
                f"G(b) is not batching's (noise of the machine, or less overhead per request), so "
                f"the claim ends at {claimed:.2f}. "
            )
        else:
            text += f"Served, dynamic batching reached {served:.2f} times no batching. "
        if device < 1.2:
            text += "Here this model gains nothing from batching: serve it with small batches. "
        paper = PAPER["triton_dynamic_batching"] / PAPER["triton_no_batching"]
        return text + (
            f"The paper's {paper:.1f} times was measured on a GPU that idles at batch 1, and is a "
            "property of that device."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, the form of `reports/benchmark.json`."""
        return {
            "model": self.model,
            "environment": dict(self.environment),
            "rows": [row.as_dict() for row in self.rows],
            "batch_gain": [
                {
                    "batch": gain.batch,
                    "throughput_per_s": round(gain.throughput_per_s, 3),
                    "gain": round(gain.gain, 3),
                }
                for gain in self.gains
            ],
            "max_batch": self.max_batch,
            "device_gain": round(self.device_gain, 3),
            "served_gain": _rounded(self.served_gain),
            "claimed_gain": _rounded(self.claimed_gain),
            "paper_throughput_per_s": PAPER,
            "verdict": self.verdict(),
        }

    def table(self) -> str:
        """Return a Markdown table: best throughput of each system, beside the paper's."""
        lines = [
            "| system | inferences/s, best (concurrency, protocol) | p99 ms there | mean batch | "
            "paper's GPU |",
            "|---|---|---|---|---|",
        ]
        for system, title in TITLES.items():
            rows = [row for row in self.rows if row.system == system]
            if not rows:
                continue
            best = max(rows, key=lambda row: row.throughput_per_s)
            lines.append(
                f"| {title} | {best.throughput_per_s:.1f} ({best.concurrency}, {best.protocol}) | "
                f"{_shown(best.p99_ms)} | {_shown(best.executed_batch_mean)} | "
                f"{_shown(PAPER.get(system))} |"
            )
        return "\n".join(lines)


def write(folder: Path, report: Report) -> list[Path]:
    """Write `benchmark.json`, `benchmark.csv` and `benchmark.png` into `folder`.

    Returns:
        The three paths.
    """
    paths = [folder / f"benchmark.{suffix}" for suffix in ("json", "csv", "png")]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(paths[0], report.as_dict())
    text = io.StringIO()
    rows = [row.as_dict() for row in report.rows]
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(paths[1], text.getvalue())
    draw(paths[2], report)
    return paths


def draw(path: Path, report: Report) -> None:
    """Draw throughput and p99 over concurrency, and G(b), into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    for key, label, ax in zip(
        ("throughput_per_s", "p99_ms"), ("clips per second", "p99 latency, ms"), axes, strict=False
    ):
        for (system, protocol), rows in _lines(report.rows).items():
            ax.plot(
                [row.concurrency for row in rows],
                [getattr(row, key) for row in rows],
                marker="o",
                color=_COLORS[system],
                linestyle="--" if protocol == "http" else "-",
                label=f"{TITLES[system]} ({protocol.replace('_', ' ')})",
            )
        ax.set(xscale="log", xlabel="concurrent callers", ylabel=label)
        _plain_ticks(ax, sorted({row.concurrency for row in report.rows}))
    axes[0].set_ylim(bottom=0)
    axes[1].set_yscale("log")
    axes[2].plot([g.batch for g in report.gains], [g.gain for g in report.gains], "o-k")
    axes[2].axhline(1, color="#bbbbbb", linewidth=1, zorder=0)
    axes[2].set(xscale="log", xlabel="batch b", ylabel="G(b): rows per second over batch 1")
    axes[2].set_ylim(bottom=0)
    _plain_ticks(axes[2], [gain.batch for gain in report.gains])
    axes[2].set_title("batch gain of the device itself", fontsize=10)
    environment = report.environment
    gpu = environment.get("gpu", "none")
    device = environment.get("cpu", "") if gpu == "none" else gpu
    axes[0].set_title(f"{report.model} on {device}, {environment.get('cores')} cores", fontsize=10)
    axes[1].legend(fontsize=7, handlelength=3.5)
    with atomic(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def _lines(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group rows by system and protocol, each sorted by concurrency; rows without answers go."""
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.concurrency):
        if row.n:
            lines.setdefault((row.system, row.protocol), []).append(row)
    return lines


def _plain_ticks(ax: Any, values: Sequence[int]) -> None:
    ax.set_xticks(values, [str(value) for value in values])
    ax.minorticks_off()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
