"""Two reports beside one another: faster, slower, or within noise."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vigil.errors import InputError

Verdict = Literal["faster", "slower", "within noise", "not comparable"]
# Metric, the names of its interval's ends, and whether more is better.
_METRICS = (
    ("throughput_per_s", "throughput_low", "throughput_high", True),
    ("p50_ms", "p50_low", "p50_high", False),
    ("p99_ms", "p99_low", "p99_high", False),
)
_KEY = ("system", "protocol", "load", "batch")
_MACHINE = ("cpu", "cores", "gpu", "os")


@dataclass(frozen=True)
class Change:
    """One metric of one row in both reports.

    Attributes:
        row: system, protocol and load.
        metric: name.
        before: in the first report; None where it says nothing.
        after: in the second.
        verdict: of the second against the first.
        why: what stands in the way of a comparison, or "".
    """

    row: str
    metric: str
    before: float | None
    after: float | None
    verdict: Verdict
    why: str = ""

    def line(self) -> str:
        """Return it for people."""
        if self.before is None or self.after is None:
            return f"{self.row:48s}{self.metric:18s}{self.verdict}: {self.why}"
        percent = (self.after / self.before - 1) * 100 if self.before else float("inf")
        why = f" ({self.why})" if self.why else ""
        return (
            f"{self.row:48s}{self.metric:18s}{self.before:10.2f} -> {self.after:10.2f} "
            f"{percent:+7.1f} %  {self.verdict}{why}"
        )


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], threshold: float = 0.05
) -> list[Change]:
    """Compare two reports, metric by metric.

    A metric changed when the two 95 % intervals lie apart and the values differ by more than the
    threshold; what lies nearer is within noise. Rows that are invalid, not stable, or without an
    answer are not comparable.

    Args:
        before: first report's plain values.
        after: second's.
        threshold: least change that counts, as a share.

    Raises:
        InputError: the reports have no row in common.
    """
    old, new = _keyed(before), _keyed(after)
    common = [key for key in old if key in new]
    if not common:
        raise InputError("compare: expected reports with rows of the same loads, got none")
    changes = []
    for key in common:
        why = _unfit(old[key]) or _unfit(new[key])
        for metric in _METRICS:
            changes.append(_change(key, metric, old[key], new[key], threshold, why))
    return changes


def machine_differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between the machines of two reports, one line each."""
    old, new = before.get("environment", {}), after.get("environment", {})
    return [
        f"{name}: {old.get(name)} -> {new.get(name)}"
        for name in _MACHINE
        if old.get(name) != new.get(name)
    ]


def read_report(path: Path) -> dict[str, Any]:
    """Read a report's JSON.

    Raises:
        InputError: there is none, or something else.
    """
    try:
        loaded = json.loads(path.read_text("utf-8"))
        rows = loaded["rows"]
        if not all(isinstance(row[name], str | int) for row in rows for name in _KEY):
            raise ValueError("rows without a name")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a benchmark's JSON, got: {error!r:.200}") from error
    return dict(loaded)


def summary(changes: Sequence[Change]) -> str:
    """Return how many of each verdict there are."""
    names: tuple[Verdict, ...] = ("faster", "slower", "within noise", "not comparable")
    counted = {name: sum(change.verdict == name for change in changes) for name in names}
    return ", ".join(f"{count} {name}" for name, count in counted.items())


def _keyed(report: Mapping[str, Any]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """Return rows by what makes them comparable: system, protocol, load and level."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in report["rows"]:
        kind = tuple(row[name] for name in _KEY)
        offered = row.get("offered_per_s")
        level = f"c={row['concurrency']}" if offered is None else f"{offered:g}/s"
        found[(*kind, level)] = row
    return found


def _unfit(row: Mapping[str, Any]) -> str:
    if not row.get("n"):
        return "no answers"
    if not row.get("valid", True):
        return str(row.get("why_invalid"))
    if row.get("wrong"):
        return "wrong answers"
    return "" if row.get("stable", True) else "not stable"


def _change(
    key: tuple[Any, ...],
    metric: tuple[str, str, str, bool],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    threshold: float,
    why: str,
) -> Change:
    name, low, high, more_is_better = metric
    row = " ".join(str(part) for part in (key[0], key[1], key[2], key[4]))
    before, after = old.get(name), new.get(name)
    if why or before is None or after is None or not before:
        return Change(row, name, before, after, "not comparable", why or "no value")
    ends = [float(report.get(end, "nan")) for report in (old, new) for end in (low, high)]
    if any(math.isnan(end) for end in ends):
        return Change(row, name, before, after, "not comparable", "no interval")
    apart = ends[1] < ends[2] or ends[3] < ends[0]
    if not apart or abs(after / before - 1) <= threshold:
        return Change(row, name, before, after, "within noise")
    better = (after > before) == more_is_better
    return Change(row, name, before, after, "faster" if better else "slower")
