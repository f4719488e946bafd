"""The verdict as one page: ship or don't, and why. Nothing loaded, no script, all escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vigil.html import document, interval, table

_TOPICS = {
    "contract": "Is it what it says it is?",
    "parity": "Does every way to run it give the same answers?",
    "quality": "Is it as often right?",
    "speed": "Is it as fast?",
}
_SHIP, _STOP = "#1a7f37", "#b42318"


def page(verdict: Mapping[str, Any]) -> str:
    """Return a verdict, see `vigil.release.gate.judging.judge`, as an HTML page."""
    ship = verdict["ship"]
    word, color = ("Ship", _SHIP) if ship else ("Do not ship", _STOP)
    parts = [
        f'<p style="font-size:2rem;font-weight:700;color:{color};margin:0">{word}</p>',
        f"<p>{escape(_what(verdict))}</p>",
        _why(verdict),
        *(_topic(topic, verdict) for topic in _TOPICS),
        _metrics(verdict),
        _speed(verdict),
        "<h2>What was judged</h2>",
        _words(["file", "sha256"], list(verdict["candidate"]["sha256"].items())),
        "<h2>Made on</h2>",
        _words(["", ""], [[name, _flat(value)] for name, value in verdict["environment"].items()]),
    ]
    return document(f"Gate: {verdict['model']}", parts)


def _what(verdict: Mapping[str, Any]) -> str:
    served, test = verdict["served"], verdict["test"]
    against = f"version {served['version']}, which serves now" if served else "nothing served yet"
    passed = sum(check["passed"] for check in verdict["checks"])
    return (
        f"Against {against}, on {seen(test)} of {test['videos']} videos: "
        f"{passed} of {len(verdict['checks'])} checks passed. "
        f"Precision: {verdict.get('precision', 'fp32')}. Judged {verdict['judged_at']}."
    )


def seen(test: Mapping[str, Any]) -> str:
    """Say what a verdict's model was judged on, without how many videos that is of."""
    if test["clips"]:
        return f"{test['clips']} test clips"
    known = test.get("frames")
    return f"{known} frames with people who are known" if known else "footage without labels"


def _why(verdict: Mapping[str, Any]) -> str:
    lines = "".join(f"<li>{escape(reason)}</li>" for reason in verdict["why"])
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in verdict["notes"])
    return (f"<h2>Why not</h2><ul>{lines}</ul>" if lines else "") + notes


def _topic(topic: str, verdict: Mapping[str, Any]) -> str:
    rows = [
        ["✓" if check["passed"] else "✗ no", check["name"], check["detail"]]
        for check in verdict["checks"]
        if check["topic"] == topic
    ]
    title = f"<h2>{escape(_TOPICS[topic])}</h2>"
    if not rows:
        unjudged = verdict["test"].get("unjudged") if topic == "quality" else None
        if unjudged:
            return f"{title}<p>Accuracy not judged: {escape(unjudged)}.</p>"
        return f"{title}<p>Not asked: what comes before it failed.</p>"
    return title + _words(["", "asked", "found"], rows)


def _words(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of text rather than of figures."""
    return f'<div class="words">{table(header, rows)}</div>'


def _metrics(verdict: Mapping[str, Any]) -> str:
    found = verdict["metrics"].get("candidate")
    if not found:
        return ""
    metrics, twin = verdict["metrics"], verdict["metrics"].get("fp32")
    columns = {metrics.get("against", "served"): _first(metrics)} | (
        {"its fp32 network": _first(twin)} if twin else {}
    )
    rows = [
        [name, *(values.get(name, "–") for values in columns.values()), interval(found, name)]
        for name in found
    ]
    note = "In brackets: 95 % intervals, whole videos resampled."
    if twin:
        note += f" The same class as its fp32 network: {twin['agreement']:.1%} of the clips."
    note = f"<p><small>{note}</small></p>"
    return "<h3>Metrics</h3>" + table(["", *columns, "candidate"], rows) + note + _offline(metrics)


def _offline(metrics: Mapping[str, Any]) -> str:
    """Return each recognizer's confusion from pixels, and its agreement with itself offline."""
    parts = []
    for name, found in metrics.get("recognizers", {}).items():
        rows = [
            [label, *map(str, counts)]
            for label, counts in zip(metrics["classes"], found["confusion"], strict=True)
        ]
        said = (
            f"n = {found['clips']} clips. Right from pixels: {found['right']}; offline, on what "
            f"the stages made of the same clips: {found['right_offline']}. The same class in "
            f"{found['agreement']:.1%} of the clips; probabilities differ by {found['shift']:.3f} "
            "a clip."
        )
        header = ["labeled ↓ said →", *metrics["classes"]]
        parts.append(f"<h3>{escape(name)}</h3>{table(header, rows)}<p><small>{said}</small></p>")
    return "".join(parts)


def _first(figures: Mapping[str, Any]) -> dict[str, str]:
    """Return by metric what the candidate is compared with."""
    return {row["metric"]: f"{row['first']:.3f}" for row in figures["differences"]}


def _speed(verdict: Mapping[str, Any]) -> str:
    found = verdict["speed"]
    if not found:
        return ""
    keys = {"throughput_per_s": "rows/s", "p50_ms": "p50 ms", "p95_ms": "p95 ms",
            "p99_ms": "p99 ms"}  # fmt: skip
    rows = [
        [name, *(f"{values[key]:.1f}" for key in keys)] for name, values in found["models"].items()
    ]
    return (
        "<h3>Latency</h3>"
        + table(["", *keys.values()], rows)
        + f"<p><small>{escape(found['load'])}; medians of the rounds.</small></p>"
    )


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return str(value)
