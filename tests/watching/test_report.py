"""What people and Prometheus read: whole, and nothing in it taken for markup."""

from __future__ import annotations

import json

import numpy as np

from tests.watching.served import DRIFT, population, reference, seen
from vigil.watching.drift import compare_all
from vigil.watching.prometheus import metrics
from vigil.watching.reading import Requests, Served
from vigil.watching.record import Seen
from vigil.watching.report import as_json, page
from vigil.watching.sampling import uncertain

HOSTILE = '<script>alert("x")</script>\n\\'


def served() -> Served:
    rng = np.random.default_rng(0)
    now = population(rng, 20)
    now["persons"] *= 3
    found = Served(first=1e9, last=1e9 + 60)
    found.seen["protogcn", "protogcn"] = seen(now)
    strange = Seen(by=HOSTILE, top=HOSTILE, confidence=0.5, p=(0.5, 0.3, 0.2), start_s=0, end_s=4)
    found.seen[HOSTILE, HOSTILE] = [(1e9, HOSTILE, strange)]
    found.requests[HOSTILE] = Requests()
    found.requests[HOSTILE].outcomes[HOSTILE] += 1
    return found


def test_a_report_names_what_drifted_and_escapes_what_callers_sent() -> None:
    told = served()
    usual = reference(population(np.random.default_rng(1), 40))
    references = {"protogcn": usual, HOSTILE: usual}
    found = compare_all(told, references, DRIFT)
    windows = uncertain(told.seen, (), (), 5)
    text = page(told, found, windows)
    assert "Drifted: protogcn: persons." in text
    assert text.index("<h2>protogcn</h2>") < text.index("<h2>&lt;script&gt;")  # alarms first
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    whole = as_json(told, found, windows)
    json.dumps(whole, allow_nan=False)
    (alarm,) = [one for one in whole["drift"] if one["state"] == "alarm"]
    assert (alarm["by"], alarm["feature"]) == ("protogcn", "persons")
    assert {one["state"] for one in whole["drift"] if one["by"] == HOSTILE} == {"too few"}
    alone = as_json(told, compare_all(told, {"protogcn": usual}, DRIFT), windows)
    assert alone["without_reference"] == [{"model": HOSTILE, "by": HOSTILE}]


def test_metrics_are_lines_that_prometheus_reads() -> None:
    told = served()
    references = {"protogcn": reference(population(np.random.default_rng(1), 40))}
    lines = metrics(told, compare_all(told, references, DRIFT), 5.0).splitlines()
    assert all(line.startswith(("# HELP ", "# TYPE ", "vigil_")) for line in lines)
    assert ('vigil_drift_state{model="protogcn",by="protogcn",feature="persons"} 2') in lines
    assert any('model="<script>alert(\\"x\\")</script>\\n\\\\"' in line for line in lines)
    assert "vigil_drift_judged_seconds 5" in lines
