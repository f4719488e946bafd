"""The report of a trial as one page: promoted or withdrawn, and why. No script, all escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from vigil.html import document, table

_COLORS = {"promoted": "#1a7f37", "withdrawn": "#b42318"}
_MODES = {
    "canary": "The candidate answered a share of the callers' requests, {share:.0%}.",
    "shadow": "Callers were answered by the served version alone; the candidate got copies.",
}


def page(report: Mapping[str, Any]) -> str:
    """Return a report, see `vigil.release.trial.report`, as an HTML page."""
    state = report["state"]
    parts = [
        f'<p style="font-size:2rem;font-weight:700;color:{_COLORS[state]};margin:0">'
        f"{state.capitalize()}</p>",
        f"<p>{escape(report['reason'])}</p>",
        f"<p>Version {report['version']} against version {report['served']}, which served. "
        f"{_MODES[report['mode']].format(**report['rule'])} "
        f"{report['began_at']}, {report['seconds']:g} s.</p>",
        "<h2>What was seen</h2>",
        table(["", "seen", "rule"], _seen(report)),
        "<h2>Latency</h2>",
        table(["ms", "p50", "p95"], _latency(report)),
        "<p><small>Of the same requests, through the front.</small></p>",
        "<h2>Classes</h2>",
        _pairs(report),
        "<h2>What was tried</h2>",
        table(["file", "sha256"], list(report["sha256"].items())),
    ]
    return document(f"Trial: {report['model']} version {report['version']}", parts)


def _seen(report: Mapping[str, Any]) -> list[list[str]]:
    rule, rows = report["rule"], report["rows"]
    agreement = f"{report['agreement']:.3f} [{report['low']:.3f}, {report['high']:.3f}]"
    failures = str(report["failures"])
    if report["first_failure"]:
        failures += f" ({report['first_failure']:.160})"
    return [
        ["requests compared", str(report["requests"]), str(rule["requests"])],
        [f"agreement, {rows} rows", agreement, f"at least {rule['min_agreement']:g}"],
        ["latency, median", f"{report['slowdown']:.2f} times", f"at most {rule['max_slowdown']:g}"],
        ["failures", failures, f"at most {rule['max_failures']}"],
        ["callers answered by it", str(report["answered"]), "–"],
        ["copies not sent", str(report["dropped"]), "–"],
    ]


def _latency(report: Mapping[str, Any]) -> list[list[str]]:
    return [
        [who, *(f"{found[key]:.1f}" if found else "–" for key in ("p50", "p95"))]
        for who, found in report["latency_ms"].items()
    ]


def _pairs(report: Mapping[str, Any]) -> str:
    """Show how often which class of the served version met which of the candidate's."""
    labels = report["labels"]
    counts = {(one, other): count for one, other, count in report["pairs"]}
    rows = [
        [label, *(str(counts.get((i, j), 0)) for j in range(len(labels)))]
        for i, label in enumerate(labels)
    ]
    note = "<p><small>Rows: the served version's class; columns: the candidate's.</small></p>"
    return table(["", *labels], rows) + note
