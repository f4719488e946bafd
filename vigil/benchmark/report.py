"""The benchmark's report: JSON and CSV for programs, a page, pictures and a verdict for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vigil.benchmark.claims import PAPER, PAPER_GAIN, TITLES, Claim, best, claims, goals
from vigil.benchmark.gain import BatchGain
from vigil.benchmark.limit import shares
from vigil.benchmark.row import FLAT, Row
from vigil.benchmark.search import Goodput
from vigil.errors import InputError, ModelError, ServerError
from vigil.schema import write_json, write_text


@dataclass(frozen=True)
class Report:
    """Everything one benchmark found.

    Attributes:
        model: name of the model.
        environment: see `vigil.environment.describe`, with providers, hashes and flags.
        rows: the measurements.
        gains: the device's own batch gain G(b); () where no ONNX file was at hand.
        max_batch: largest batch that Triton was allowed to make.
        goodput: highest rates under the bound.
        partial: why the run ended early, "" when it did not.
        failure: what ended it.
    """

    model: str
    environment: Mapping[str, Any]
    rows: Sequence[Row]
    gains: Sequence[BatchGain]
    max_batch: int
    goodput: Sequence[Goodput] = ()
    partial: str = ""
    failure: BaseException | None = field(default=None, compare=False)

    @property
    def device_gain(self) -> float | None:
        """Largest G(b) for a batch that the server could make: no batching can gain more."""
        return max((g.gain for g in self.gains if g.batch <= self.max_batch), default=None)

    @property
    def claims(self) -> list[Claim]:
        """Dynamic batching over none, everywhere that both were measured."""
        return claims(self.rows, self.device_gain) if self.device_gain else []

    @property
    def served_gain(self) -> float | None:
        """Throughput of dynamic batching over none, at the most loaded point both have.

        The median over the protocols; None when one of the two systems answered nothing there.
        """
        found = self.claims
        most = max((claim.concurrency for claim in found), default=0)
        served = sorted(claim.served for claim in found if claim.concurrency == most)
        return served[(len(served) - 1) // 2] if served else None

    @property
    def claimed_gain(self) -> float | None:
        """What may be said of dynamic batching here: the served gain, at most the device's."""
        served, device = self.served_gain, self.device_gain
        return None if served is None or device is None else min(served, device)

    @property
    def wrong(self) -> int:
        """How many checked answers were wrong."""
        return sum(row.wrong for row in self.rows)

    @property
    def batches(self) -> bool:
        """Whether both Triton systems were to be compared."""
        return {"triton_no_batching", "triton_dynamic_batching"} <= {r.system for r in self.rows}

    @property
    def on_gpu(self) -> bool:
        """Whether ONNX Runtime computed on a GPU."""
        return "CUDAExecutionProvider" in dict(self.environment.get("providers", {})).values()

    def check(self) -> None:
        """Raise what ended the run early, or ModelError when an answer was wrong."""
        if self.failure is not None:
            raise self.failure
        if self.wrong:
            checked = sum(row.checked for row in self.rows)
            first = next(row.why_wrong for row in self.rows if row.wrong)
            raise ModelError(
                f"benchmark: {self.model}: expected right answers, got {self.wrong} wrong of "
                f"{checked} checked; the first: {first}"
            )
        silent = [row for row in self.rows if not row.n]
        if silent:
            first = silent[0].failures[0]["first"] if silent[0].failures else "no request ended"
            raise ServerError(
                f"benchmark: {silent[0].system} {silent[0].title}: expected answers, got none: "
                f"{first}"
            )

    def verdict(self) -> str:
        """Say in plain words what batching does on this machine, and what was reached."""
        return " ".join(self.findings())

    def findings(self) -> list[str]:
        """Return the verdict as paragraphs."""
        parts = [self._marks(), self._batching()]
        parts += [f"{goal.line()}." for goal in goals(self.rows, self.on_gpu)]
        for found in self.goodput:
            name = f"{TITLES.get(found.system, found.system)} ({found.protocol})"
            bound = f"p99 within {found.bound_ms:g} ms"
            if found.rate_per_s:
                parts.append(f"{name} keeps {bound} up to {found.rate_per_s:.1f} requests/s.")
            else:
                parts.append(f"{name} kept {bound} twice at no rate of {len(found.probes)} tries.")
        return [part for part in parts if part]

    def _marks(self) -> str:
        """Return what is to be known before any figure is believed."""
        parts = [f"PARTIAL: {self.partial}." if self.partial else ""]
        if self.wrong:
            parts.append(f"FAILED: {self.wrong} wrong answers.")
        for word, count in (
            ("not stable", sum(not row.stable for row in self.rows)),
            ("invalid", sum(not row.valid for row in self.rows)),
        ):
            if count:
                parts.append(f"{count} of {len(self.rows)} rows are {word}.")
        return " ".join(part for part in parts if part)

    def _batching(self) -> str:
        served, device, claimed = self.served_gain, self.device_gain, self.claimed_gain
        if device is None or not self.batches:
            return ""
        if served is None or claimed is None:
            return "No verdict on batching: one of the two Triton systems answered nothing."
        text = (
            f"The device's own batch gain G(b) is at most {device:.2f} up to batch "
            f"{self.max_batch}; no server can gain more from batching. "
        )
        if served > device:
            text += (
                f"Served, dynamic batching measured {served:.2f} times no batching: impossible as "
                "a gain of batching. What exceeds G(b) is noise of the machine or less overhead "
                f"per request, so the claim ends at {claimed:.2f}. "
            )
        else:
            text += (
                f"Served, dynamic batching reached {served:.2f} times no batching, "
                f"{served / device:.2f} of G(b). "
            )
        if device < 1.2:
            text += "Here this model gains nothing from batching: serve it with small batches. "
        return text + (
            f"The paper's {PAPER_GAIN:.1f} times was measured on a GPU that idles at batch 1, and "
            "is a property of that device."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, the form of `reports/benchmark.json`."""
        return {
            "model": self.model,
            "partial": self.partial,
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
            "device_gain": _rounded(self.device_gain),
            "served_gain": _rounded(self.served_gain),
            "claimed_gain": _rounded(self.claimed_gain),
            "claims": [
                {
                    "protocol": claim.protocol,
                    "concurrency": claim.concurrency,
                    "served_gain": round(claim.served, 3),
                    "device_gain": round(claim.device, 3),
                    "share": round(claim.share, 3),
                    "possible": claim.possible,
                }
                for claim in self.claims
            ],
            "goals": [
                {"name": g.name, "value": round(g.value, 3), "wanted": g.wanted, "met": g.met}
                for g in goals(self.rows, self.on_gpu)
            ],
            "shares": [share.as_dict() for share in shares(self.rows)],
            "goodput": [found.as_dict() for found in self.goodput],
            "paper_throughput_per_s": PAPER,
            "verdict": self.verdict(),
        }

    def table(self) -> str:
        """Return a Markdown table: best throughput of each system, beside the paper's."""
        lines = [
            "| system | inferences/s, best [95 %] (callers x rows, protocol) "
            "| over PyTorch one by one | p99 ms there | mean batch | paper's GPU "
            "| paper over PyTorch |",
            "|---|---|---|---|---|---|---|",
        ]
        base = best(self.rows, ("pytorch",))
        for system in dict.fromkeys(row.system for row in self.rows):
            top = best(self.rows, (system,))
            if top is None:
                continue
            paper = PAPER.get(system)
            interval = f"[{top.throughput_low:.1f}, {top.throughput_high:.1f}]"
            lines.append(
                f"| {TITLES.get(system, system)} | {top.throughput_per_s:.1f} {interval} "
                f"({top.title}, {top.protocol}) | "
                f"{_shown(top.throughput_per_s / base.throughput_per_s if base else None)} | "
                f"{_shown(top.p99_ms)} | {_shown(top.executed_batch_mean)} | {_shown(paper)} | "
                f"{_shown(paper and paper / PAPER['pytorch'])} |"
            )
        return "\n".join(lines)


def write(folder: Path, report: Report, name: str = "benchmark") -> list[Path]:
    """Write JSON, CSV, PNG, page, and DVC's metrics and plots into a folder of reports.

    Args:
        folder: made when missing.
        report: what to write.
        name: of the files, e.g. `benchmark.json`.

    Returns:
        The paths, JSON first.

    Raises:
        InputError: the disk is full, or the folder not to be written; nothing half-written stays.
    """
    try:
        return _write(folder, report, name)
    except OSError as error:
        raise InputError(f"benchmark: {folder}: expected to write there, got: {error}") from error


def _write(folder: Path, report: Report, name: str) -> list[Path]:
    from vigil.benchmark.charts import draw, plots
    from vigil.benchmark.pages import page

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{suffix}" for suffix in ("json", "csv", "png", "html")]
    write_json(paths[0], report.as_dict())
    write_text(paths[1], _csv(FLAT, [row.as_dict() for row in report.rows]))
    draw(paths[2], report)
    write_text(paths[3], page(report))
    metrics = folder / "metrics" / f"{name}.json"
    metrics.parent.mkdir(exist_ok=True)
    write_json(metrics, headline(report))
    for plot, (columns, lines) in plots(report).items():
        path = folder / "plots" / name / f"{plot}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, _csv(columns, lines))
        paths.append(path)
    return [*paths, metrics]


def headline(report: Report) -> dict[str, Any]:
    """Return the few numbers that `dvc metrics` shows and compares."""
    found: dict[str, Any] = {"device_gain": _rounded(report.device_gain)}
    for system in dict.fromkeys(row.system for row in report.rows):
        top = best(report.rows, (system,))
        if top is not None:
            found[system] = {
                "throughput_per_s": round(top.throughput_per_s, 2),
                "p50_ms": _rounded(top.p50_ms),
                "p99_ms": _rounded(top.p99_ms),
            }
    for one in report.goodput:
        found.setdefault("goodput_per_s", {})[f"{one.system}_{one.protocol}"] = round(
            one.rate_per_s, 2
        )
    return found


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
