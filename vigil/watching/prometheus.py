"""What is known of what is served, in Prometheus' text format, for a node exporter's collector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vigil.watching.drift import Finding
from vigil.watching.reading import Key, Served

_STATE = {"stable": 0, "watch": 1, "alarm": 2, "too few": -1}
Sample = tuple[Mapping[str, str], float]


def metrics(served: Served, found: Mapping[Key, Sequence[Finding]], now: float) -> str:
    """Return the metrics as text.

    Args:
        served: what the logs tell.
        found: see `vigil.watching.drift.compare_all`.
        now: seconds since 1970.
    """
    each = [
        ({"model": model, "by": by, "feature": one.feature}, one)
        for (model, by), findings in found.items()
        for one in findings
    ]
    requests = [
        ({"model": model, "outcome": outcome}, float(count))
        for model, how in served.requests.items()
        for outcome, count in how.outcomes.items()
    ]
    parts = [
        _family("vigil_drift_psi", "population stability index against the reference",
                ((labels, one.psi) for labels, one in each)),
        _family("vigil_drift_psi_expected", "what chance alone makes of it on average",
                ((labels, one.band.mean) for labels, one in each)),
        _family("vigil_drift_psi_limit", "what chance alone does not exceed at the level",
                ((labels, one.band.high) for labels, one in each)),
        _family("vigil_drift_state", "0 stable, 1 watch, 2 alarm, -1 too few to judge",
                ((labels, float(_STATE[one.state])) for labels, one in each)),
        _family("vigil_drift_values", "values of the feature that were served",
                ((labels, float(one.n)) for labels, one in each)),
        _family("vigil_logged_requests", "requests in the logs that were judged", requests),
        _family("vigil_log_lines_dropped", "lines that the request logs lost",
                [({}, float(served.dropped))]),
        _family("vigil_log_lines_broken", "lines of the request logs that could not be read",
                [({}, float(served.broken))]),
        _family("vigil_drift_judged_seconds", "when this was worked out, seconds since 1970",
                [({}, now)]),
    ]  # fmt: skip
    return "".join(parts)


def _family(name: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"{name}{_labels(labels)} {value:.10g}\n" for labels, value in samples]
    return "".join([f"# HELP {name} {about}\n", f"# TYPE {name} gauge\n", *lines])


def _labels(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
