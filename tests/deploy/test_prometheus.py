"""A real Prometheus with the deployed files: it measures what board and alerts read, and it calls.

The servers are the embedded Triton, the deployed proxy and node exporter. Nothing here needs a GPU
or a cluster but what `GPU` names and the autoscaler's labels, which are given by hand.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

from tests import networks
from tests.deploy.doors import BEARER, Proxy, ask, get
from tests.deploy.monitors import COMPOSE, NodeExporter, Prometheus, wait_for
from tests.deploy.places import DEPLOY, program
from tests.watching import served as watched
from vigil.errors import VigilError
from vigil.serving.client import Client
from vigil.serving.server import EmbeddedTriton
from vigil.serving.watch import Watchdog
from vigil.watching.drift import compare_all
from vigil.watching.prometheus import metrics
from vigil.watching.reading import Requests, Served

pytestmark = pytest.mark.slow
RULES = [rule for group in yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())["groups"]
         for rule in group["rules"]]  # fmt: skip
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana/dashboards/serving.json").read_text())
TARGETS = [(f"{panel['title']} {target['refId']}", target)
           for panel in BOARD["panels"] for target in panel["targets"]]  # fmt: skip
SOURCE = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
GPU = {"GPU A", "GPU B"}  # of the board: without a card there is no series
OF_GPU = {  # docs/user_guide/metrics.md of triton-inference-server/server
    "nv_gpu_power_usage", "nv_gpu_power_limit", "nv_energy_consumption", "nv_gpu_utilization",
    "nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes",
}  # fmt: skip
HOSTILE = 'hall "3"\\'
HELD = {"tiny": networks.clips(1), "pair": {"x": np.zeros((1, 8), np.float32)}}


@dataclass
class Deployment:
    """What runs together."""

    triton: EmbeddedTriton
    proxy: Proxy
    exporter: NodeExporter
    prometheus: Prometheus


def write_drift(folder: Path) -> None:
    """Write what `python -m stages.drift` hands on, with one alarm and a caller's odd name."""
    now = watched.population(np.random.default_rng(0), 20)
    now["persons"] *= 3
    told = Served(first=1e9, last=1e9 + 60)
    told.seen["protogcn", "protogcn"] = watched.seen(now)
    told.requests[HOSTILE] = Requests()
    told.requests[HOSTILE].outcomes["ok"] += 1
    usual = watched.reference(watched.population(np.random.default_rng(1), 40))
    found = compare_all(told, {"protogcn": usual}, watched.DRIFT)
    (folder / "metrics.prom").write_text(metrics(told, found, time.time()))


def load(proxy: Proxy, stop: threading.Event, protocol: Any) -> None:
    """Ask both models in turn through the proxy."""
    with Client(proxy.url, protocol, headers=BEARER, tls=proxy.certificate) as client:
        for model in cycle(HELD):
            if stop.is_set():
                return
            with suppress(VigilError):
                client.infer(model, HELD[model], deadline_s=10)
            stop.wait(0.01)


def knock(proxy: Proxy, stop: threading.Event) -> None:
    """Ask without a token, once a second."""
    while not stop.wait(1):
        ask(proxy, "GET", "/v2")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """All servers under a little load, as soon as Prometheus has met each."""
    for name in ("prometheus", "prometheus-node-exporter", "haproxy"):
        program(name, name)
    repository, drift, door, own = map(tmp_path_factory.mktemp, ("models", "drift", "door", "own"))
    networks.recognizer_model(repository)
    networks.mlp_model(repository, "pair", instances=2)
    write_drift(drift)
    stop = threading.Event()
    with (
        EmbeddedTriton(repository, list(HELD)) as triton,
        Proxy(door, triton.http_url, triton.grpc_url) as proxy,
        NodeExporter(drift, own / "exporter.log") as exporter,
        Prometheus(own, {"triton": address(triton.metrics_url), "proxy": address(proxy.status),
                         "drift": exporter.address}) as prometheus,
    ):  # fmt: skip
        callers = [threading.Thread(target=load, args=(proxy, stop, protocol))
                   for protocol in ("http", "grpc", "http", "grpc")]  # fmt: skip
        callers.append(threading.Thread(target=knock, args=(proxy, stop)))
        for caller in callers:
            caller.start()
        try:
            wait_for(lambda: len(prometheus.series("up == 1")) == 3,
                     lambda: prometheus.ask("targets")["activeTargets"])  # fmt: skip
            yield Deployment(triton, proxy, exporter, prometheus)
        finally:
            stop.set()
            for caller in callers:
                caller.join()


def address(url: str) -> str:
    """Return `host:port` of an address."""
    return url.removeprefix("http://").split("/")[0]


def measured(deployed: Deployment, expr: str) -> list[dict[str, Any]]:
    """Return the series of an expression once it has some; each is a finite number."""
    prometheus = deployed.prometheus
    found = wait_for(lambda: prometheus.series(expr), lambda: f"{expr} has no series")
    assert all(np.isfinite(float(one["value"][1])) for one in found), found
    return found


def as_grafana_asks(expr: str) -> str:
    """Return a panel's expression with Grafana's interval: four scrapes."""
    every = SOURCE["datasources"][0]["jsonData"]["timeInterval"]
    deployed = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["global"]
    assert every == deployed["scrape_interval"]
    return expr.replace("$__rate_interval", f"{4 * int(every.removesuffix('s'))}s")


def test_every_target_says_what_its_metrics_are(deployed: Deployment) -> None:
    """Prometheus 3, which compose runs, takes nothing without a content type."""
    assert COMPOSE["prometheus"]["image"].startswith("prom/prometheus:v3.")
    for target in deployed.prometheus.ask("targets")["activeTargets"]:
        with urllib.request.urlopen(target["scrapeUrl"], timeout=10) as answer:  # noqa: S310
            assert answer.headers.get("content-type", "").startswith("text/plain;")


@pytest.mark.parametrize(("place", "target"), TARGETS, ids=[place for place, _ in TARGETS])
def test_every_curve_of_the_board_is_there_and_named(
    deployed: Deployment, place: str, target: dict[str, str]
) -> None:
    expr = as_grafana_asks(target["expr"])
    if place in GPU:
        deployed.prometheus.series(expr)
        assert set(re.findall(r"nv_[a-z_]+", expr)) <= OF_GPU
        return
    legends = []
    for one in measured(deployed, expr):
        labels = one["metric"]
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= set(labels)
        legends.append(
            target["legendFormat"].replace("{{", "{").replace("}}", "}").format(**labels)
        )
    assert len(set(legends)) == len(legends), legends


@pytest.mark.parametrize("rule", RULES, ids=[r.get("alert", r.get("record")) for r in RULES])
def test_every_rule_has_something_to_judge(deployed: Deployment, rule: dict[str, Any]) -> None:
    if "record" in rule:
        assert all(set(one["metric"]) == {"__name__", "model"}
                   for one in measured(deployed, rule["record"]))  # fmt: skip
        return
    judged, comparisons = re.subn(r" (==|>) (?=\d[\d *.]*$)", r" \1 bool ", rule["expr"].strip())
    assert comparisons == 1
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    for one in measured(deployed, judged):
        assert named <= set(one["metric"]), one


def test_the_autoscaler_gets_its_number(deployed: Deployment) -> None:
    (rule,) = yaml.safe_load((DEPLOY / "kubernetes/adapter.yaml").read_text())["rules"]["custom"]
    measured(deployed, rule["seriesQuery"])
    (one,) = measured(
        deployed,
        rule["metricsQuery"].replace("<<.GroupBy>>", "pod")
        .replace("<<.LabelMatchers>>", 'namespace="vigil",pod=~"vigil-0"'),
    )  # fmt: skip
    assert one["metric"] == {"pod": "vigil-0"}


def test_what_the_logs_tell_arrives_as_it_was_written(deployed: Deployment) -> None:
    (asked,) = measured(deployed, 'vigil_logged_requests{outcome="ok"}')
    assert asked["metric"]["model"] == HOSTILE
    others = {f"vigil_drift_{one}" for one in ("psi", "psi_expected", "psi_limit", "values")}
    for name in sorted(others | {"vigil_log_lines_dropped", "vigil_log_lines_broken"}):
        measured(deployed, name)


def test_a_healthy_server_calls_nobody_and_drift_is_told(deployed: Deployment) -> None:
    prometheus = deployed.prometheus
    drift = wait_for(lambda: prometheus.firing().get(("Drift", "protogcn")), prometheus.firing)
    assert drift == "persons of protogcn is not what it was trained on"
    for name in ("vigil:requests:rate1m", "vigil:failures:rate5m"):
        measured(deployed, name)
    expected = {("Drift", "protogcn"), ("MemoryShort", "")}  # how full this machine is, who knows
    wait_for(lambda: set(prometheus.firing()) <= expected, prometheus.firing)


def test_a_dead_instance_calls_while_readiness_lies_and_is_quiet_after_its_repair(
    deployed: Deployment,
) -> None:
    triton, prometheus = deployed.triton, deployed.prometheus
    calls = {("ModelFails", "tiny"), ("ModelKeepsFailing", "tiny"), ("ModelKeepsFailing", "pair")}
    for model in HELD:
        psutil.Process(min(triton.stubs(model))).kill()
    fired = wait_for(lambda: all_of(calls, prometheus.firing()), prometheus.firing, 80)
    assert fired["ModelFails", "tiny"].startswith("tiny fails ")
    assert fired["ModelKeepsFailing", "pair"].endswith(" requests a second")
    assert get(f"http://{triton.http_url}/v2/health/ready")[0] == 200
    assert all(get(f"http://{triton.http_url}/v2/models/{m}/ready")[0] == 200 for m in HELD)
    assert {name for name, _ in fired} & {"TritonNotReady", "TritonDown"} == set()

    said: list[str] = []
    watchdog = Watchdog(triton.http_url, 60, 5, said.append, triton)
    repaired: set[str] = set()

    def well() -> bool:
        repaired.update(watchdog.look())
        return repaired == set(HELD)

    wait_for(well, lambda: said, 80)
    wait_for(lambda: not calls & set(prometheus.firing()), prometheus.firing, 80)
    wait_for(lambda: len(prometheus.series("up == 1")) == 3, prometheus.firing)


def all_of(calls: set[tuple[str, str]], firing: dict[tuple[str, str], str]) -> dict[Any, str]:
    """Return what fires once all that is expected does, else nothing."""
    return firing if calls <= set(firing) else {}
