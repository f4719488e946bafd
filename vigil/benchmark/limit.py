"""What serving takes from the device: throughput and latency beside ONNX Runtime in process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vigil.benchmark.claims import IN_PROCESS, TITLES
from vigil.benchmark.row import Row

WANTED = 0.95  # of the limit
WANTED_SHARED = 0.98  # where the tensors do not travel
MOST_ADDED_MS = 1.0  # p50 of a single caller


@dataclass(frozen=True)
class Share:
    """A served system beside ONNX Runtime in this process.

    Bounds hold the 95 % intervals of both sides against each other, so they are wide.

    Attributes:
        system: as in the rows.
        protocol: how it was asked.
        batch: rows of a request.
        throughput_per_s: its best in a closed loop, in rows.
        of_limit: over ONNX Runtime at its best, whatever batch and callers that took.
        low: lower bound of `of_limit`.
        high: upper bound.
        of_batch: over ONNX Runtime at its best with as many rows a call; None where not measured.
        added_ms: p50 of a single caller over that of a single caller in process, with as many rows;
            None where not measured.
    """

    system: str
    protocol: str
    batch: int
    throughput_per_s: float
    of_limit: float
    low: float
    high: float
    of_batch: float | None
    added_ms: float | None

    @property
    def wanted(self) -> float:
        """Least share that is aimed at."""
        return WANTED_SHARED if self.protocol.endswith("_shm") else WANTED

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, rounded to what is meaningful."""
        found = asdict(self) | {"wanted": self.wanted}
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}


def shares(rows: Sequence[Row]) -> list[Share]:
    """Return a share for every system, protocol and batch that was served; [] without a limit."""
    closed = [row for row in rows if row.load == "closed" and row.n]
    inside = [row for row in closed if row.system in IN_PROCESS]
    served = [row for row in closed if row.protocol != "in_process"]
    limit = _fastest(inside)
    if limit is None or not limit.throughput_per_s:
        return []
    found = []
    for key in dict.fromkeys((row.system, row.protocol, row.batch) for row in served):
        mine = [row for row in served if (row.system, row.protocol, row.batch) == key]
        same = [row for row in inside if row.batch == key[2]]
        top, beside = _fastest(mine), _fastest(same)
        assert top is not None  # noqa: S101 - there is at least one
        found.append(
            Share(
                *key,
                top.throughput_per_s,
                top.throughput_per_s / limit.throughput_per_s,
                top.throughput_low / limit.throughput_high,
                top.throughput_high / limit.throughput_low,
                top.throughput_per_s / beside.throughput_per_s if beside else None,
                _added(mine, same),
            )
        )
    return found


def table(found: Sequence[Share]) -> str:
    """Return the shares as a Markdown table; "" for none."""
    if not found:
        return ""
    lines = [
        "| served | protocol | rows a request | rows/s | of ONNX Runtime at its best [bounds] "
        "| aim | of the same batch | added at p50, 1 caller |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for share in found:
        bounds = f"[{share.low:.2f}, {share.high:.2f}]"
        aim = f"{share.wanted:g} {_word(share.of_limit >= share.wanted)}"
        batch = "" if share.of_batch is None else f"{share.of_batch:.3f}"
        added = "" if share.added_ms is None else (
            f"{share.added_ms:.2f} ms, {_word(share.added_ms < MOST_ADDED_MS)}"
        )  # fmt: skip
        lines.append(
            f"| {TITLES.get(share.system, share.system)} | {share.protocol} | {share.batch} | "
            f"{share.throughput_per_s:.1f} | {share.of_limit:.3f} {bounds} | {aim} | {batch} | "
            f"{added} |"
        )
    return "\n".join(lines)


def _fastest(rows: Sequence[Row]) -> Row | None:
    return max(rows, key=lambda row: row.throughput_per_s, default=None)


def _added(served: Sequence[Row], inside: Sequence[Row]) -> float | None:
    ours = [row.p50_ms for row in served if row.concurrency == 1 and row.p50_ms is not None]
    theirs = [row.p50_ms for row in inside if row.concurrency == 1 and row.p50_ms is not None]
    return min(ours) - min(theirs) if ours and theirs else None


def _word(met: bool) -> str:
    return "met" if met else "MISSED"
