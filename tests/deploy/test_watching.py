"""Alerts and dashboard: their rules work, and what they read is really measured."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import networks
from tests.deploy.doors import Proxy, RestrictedTriton, get
from tests.deploy.places import DEPLOY, ROOT, program
from vigil.serving.client import Client

FOLDER = DEPLOY / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
         for rule in group["rules"]]  # fmt: skip
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/serving.json").read_text())
TRIED = ("rules_test.yaml", "drift_test.yaml")
NAME = re.compile(r"\b((?:nv|haproxy)_[a-z0-9_]+|vigil:[a-z0-9_:]+)")


def promtool(*arguments: str) -> None:
    ran = subprocess.run([program("promtool", "prometheus"), *arguments], cwd=FOLDER,
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    promtool("check", "config", "prometheus.yaml")


def test_alerts_come_when_they_must_and_only_then() -> None:
    promtool("test", "rules", *TRIED)


def test_every_alert_is_tried_and_explained() -> None:
    alerts = {rule["alert"] for rule in RULES if "alert" in rule}
    tried = "".join((FOLDER / name).read_text() for name in TRIED)
    book = (ROOT / "docs/runbook.md").read_text()
    assert alerts
    for alert in alerts:
        assert re.search(rf'alertname(: |="){alert}\b', tried), alert
        assert f"### {alert}\n" in book, alert


def test_what_is_read_is_measured(triton: RestrictedTriton, proxy: Proxy, tmp_path: Path) -> None:
    with Client(triton.grpc_url) as client:
        client.infer("tiny", networks.clips(1))
    told = get(triton.metrics_url)[1] + get(f"{proxy.status}/metrics")[1]
    measured = set(re.findall(r"^([a-z_:]+)[{ ]", told, re.MULTILINE))
    measured |= {rule["record"] for rule in RULES if "record" in rule}
    texts = [rule["expr"] for rule in RULES]
    texts += [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    texts += [(DEPLOY / "kubernetes/adapter.yaml").read_text()]
    read = {name for text in texts for name in NAME.findall(text)}
    assert len(read) > 15
    assert {name for name in read - measured if not name.startswith("nv_gpu_")} == set()
    labels = 'haproxy_server_status{proxy="triton_ready",server="triton",state="UP"} 1'
    assert labels in told


def test_drift_is_read_under_the_names_it_is_written_with() -> None:
    writer = ROOT / "vigil/watching/prometheus.py"
    if not writer.is_file():
        pytest.skip("vigil.watching is not there yet")
    read = {name for rule in RULES for name in re.findall(r"vigil_[a-z_]+", rule["expr"])}
    assert read == {"vigil_drift_state", "vigil_drift_judged_seconds"}
    assert read <= set(re.findall(r'"(vigil_[a-z_]+)"', writer.read_text()))


def test_panels_are_distinct_and_lie_side_by_side() -> None:
    panels = BOARD["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len({panel["id"] for panel in panels}) == len(panels) == len(places)
    source = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text()
    )["datasources"][0]
    for panel in panels:
        assert panel["datasource"]["uid"] == source["uid"]
        assert all(target["expr"] for target in panel["targets"])
