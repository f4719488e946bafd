"""The report on what is served: one page, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np

from vigil.figures import svg_uri
from vigil.html import document, pictures, table
from vigil.watching.drift import Finding
from vigil.watching.reading import Key, Requests, Served
from vigil.watching.sampling import Window

_SAID = {"stable": "stable", "watch": "watch", "alarm": "ALARM", "too few": "too few to judge"}
_SHOWN = 20


def as_json(
    served: Served, found: Mapping[Key, Sequence[Finding]], windows: Sequence[Window]
) -> dict[str, Any]:
    """Return the report for programs.

    Args:
        served: what the logs tell.
        found: see `vigil.watching.drift.compare_all`.
        windows: the most uncertain ones.
    """
    return {
        "from": _when(served.first),
        "to": _when(served.last),
        "dropped": served.dropped,
        "broken": served.broken,
        "requests": {name: _requests(how) for name, how in sorted(served.requests.items())},
        "drift": [
            {"model": model, "by": by, "excess": one.excess, **asdict(one)}
            for (model, by), findings in found.items()
            for one in findings
        ],
        "without_reference": [
            {"model": model, "by": by} for model, by in sorted(served.seen)
            if (model, by) not in found
        ],
        "uncertain": [asdict(one) for one in windows],
    }  # fmt: skip


def page(served: Served, found: Mapping[Key, Sequence[Finding]], windows: Sequence[Window]) -> str:
    """Return the report for people, as HTML; see `as_json`."""
    parts = [_headline(served, found), "<h2>Requests</h2>", _request_table(served)]
    for (model, by), findings in sorted(found.items(), key=_calm):
        title = by if model == by else f"{by} in {model}"
        parts += [f"<h2>{escape(title)}</h2>", _findings(findings), _plots(findings)]
    missing = sorted(f"{by} in {model}" for model, by in served.seen if (model, by) not in found)
    if missing:
        parts.append(f"<p>Without a reference: {escape(', '.join(missing))}.</p>")
    return document("What is served", [*parts, _windows(windows)])


def _calm(entry: tuple[Key, Sequence[Finding]]) -> tuple[bool, Key]:
    """Sort those with an alarm before the rest."""
    return not any(one.state == "alarm" for one in entry[1]), entry[0]


def _headline(served: Served, found: Mapping[Key, Sequence[Finding]]) -> str:
    named = [
        f"{by}: {one.feature}" for (_, by), findings in found.items() for one in findings
        if one.state == "alarm"
    ]  # fmt: skip
    said = f"Drifted: {', '.join(named)}." if named else "No feature raises an alarm."
    lost = f"{served.dropped} lines lost, {served.broken} unreadable."
    when = f"{_when(served.first)} to {_when(served.last)}."
    return f"<p><b>{escape(said)}</b></p><p>{escape(when)} {escape(lost)}</p>"


def _request_table(served: Served) -> str:
    rows = []
    for name, how in sorted(served.requests.items()):
        told = _requests(how)
        rows.append([
            name, ", ".join(f"{key} {count}" for key, count in told["outcomes"].items()),
            ", ".join(f"{key or 'unknown'}: {count}" for key, count in told["versions"].items()),
            *(f"{told[key]:.1f}" if told[key] is not None else "–" for key in ("p50_ms", "p95_ms")),
        ])  # fmt: skip
    return table(["model", "outcomes", "versions", "p50 ms", "p95 ms"], rows)


def _findings(findings: Sequence[Finding]) -> str:
    rows = [
        [one.feature, _SAID[one.state], f"{one.psi:.3f}", f"{one.band.mean:.3f}",
         f"{one.band.high:.3f}", f"{one.n} of {one.blocks}",
         f"{one.reference_n} of {one.reference_groups}"]
        for one in findings
    ]  # fmt: skip
    note = (
        "<p><small>PSI: population stability index against the reference. by chance: its mean "
        "without drift in samples of these sizes, whole videos resampled. limit: what it then "
        "does not exceed at the level that all features share. served: values, and stretches of "
        "source and time that they are of; reference: values, and videos.</small></p>"
    )
    header = ["feature", "", "PSI", "by chance", "limit", "served", "reference"]
    return table(header, rows) + note


def _plots(findings: Sequence[Finding]) -> str:
    return pictures({one.feature: svg_uri(_draw(one), (4, 3)) for one in findings})


def _draw(one: Finding) -> Any:
    def draw(figure: Any) -> None:
        axes, places = figure.add_subplot(), np.arange(len(one.names))
        axes.bar(places - 0.2, one.reference, 0.4, label="reference", color="#9aa4b2")
        color = {"alarm": "#c0392b", "watch": "#d98c1f"}.get(one.state, "#2f6db3")
        axes.bar(places + 0.2, one.served, 0.4, label="served", color=color)
        axes.set_xticks(places, one.names, rotation=40, ha="right", fontsize=7)
        axes.set(ylabel="share", title=f"{one.feature}: PSI {one.psi:.2f}")
        figure.legend(fontsize=7, loc="outside lower left", ncols=2, frameon=False)

    return draw


def _windows(windows: Sequence[Window]) -> str:
    rows = [
        [one.clip or one.source, _span(one), one.by, f"{one.entropy:.3f}",
         " ".join(f"{value:.2f}" for value in one.probabilities)]
        for one in windows[:_SHOWN]
    ]  # fmt: skip
    lead = f"<h2>Uncertain: the first {len(rows)} of {len(windows)} windows to label</h2>"
    return lead + table(["clip or source", "seconds", "by", "entropy", "probabilities"], rows)


def _span(one: Window) -> str:
    return f"{one.start_s:g} to {one.end_s:g}" if one.start_s is not None else "–"


def _requests(how: Requests) -> dict[str, Any]:
    spent = how.latencies_ms
    quantiles = np.quantile(spent, (0.5, 0.95)).tolist() if spent else [None, None]
    return {
        "outcomes": dict(how.outcomes.most_common()),
        "versions": dict(how.versions.most_common()),
        "p50_ms": quantiles[0],
        "p95_ms": quantiles[1],
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds else "–"
