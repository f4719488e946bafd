"""The deployed Prometheus and node exporter, real ones, with the deployed files, on free ports."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import yaml

from tests.deploy.doors import free_ports, get
from tests.deploy.places import DEPLOY, program

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
FOLDER = DEPLOY / "prometheus"
LIMIT_S = 60.0
T = TypeVar("T")


def wait_for(found: Callable[[], T], about: Callable[[], object], limit_s: float = LIMIT_S) -> T:
    """Return what `found` finds once that is true; else fail and say `about`."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not met in {limit_s:g} s: {about()}")


class _Server:
    """A program with the flags that compose gives it; a context manager."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self._command = [program(name, name), *command]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ready: str) -> None:
        """Start it and wait until the address `ready` answers 200."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            wait_for(lambda: get(ready)[0] == 200, lambda: self._log.read_text()[-1500:])
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class NodeExporter(_Server):
    """Hands on the metrics files of one folder."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        given = COMPOSE["drift"]["command"]
        flags = [flag.replace("=/drift", f"={folder}") for flag in given]
        assert flags != given
        super().__init__(
            "prometheus-node-exporter", [*flags, f"--web.listen-address={self.address}"], log
        )

    def __enter__(self) -> NodeExporter:
        """Start it."""
        self.start(f"http://{self.address}/metrics")
        return self


class Prometheus(_Server):
    """Prometheus with the deployed configuration, flags and rules, but impatient.

    Changed are addresses, and time: it scrapes every second, an alert's `for` is one second and
    five minutes' rates are those of `window`.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str], window: str = "15s") -> None:
        """Prepare.

        Args:
            folder: an empty one.
            targets: address of each job, and of no other.
            window: what `[5m]` becomes in the rules, as the end-to-end test cannot wait that long.
        """
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        config = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
        for job in config["scrape_configs"]:
            job.pop("scrape_interval", None)
            (static,) = job["static_configs"]
            static["targets"] = [targets[job["job_name"]]]
            static["labels"] = {"namespace": "vigil", "pod": "vigil-0"}  # as in a cluster
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        rules = (FOLDER / "rules.yaml").read_text().replace("[5m]", f"[{window}]")
        (folder / "rules.yaml").write_text(re.sub(r"for: \d+\w", "for: 1s", rules))
        flags = [
            flag.replace("/etc/prometheus/", f"{folder}/").replace("=/prometheus", f"={folder}/db")
            for flag in COMPOSE["prometheus"]["command"]
        ]
        listen = f"--web.listen-address={self.url.removeprefix('http://')}"
        super().__init__("prometheus", [*flags, listen], folder / "prometheus.log")

    def __enter__(self) -> Prometheus:
        """Start it."""
        self.start(f"{self.url}/-/ready")
        return self

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer of the API.

        Raises:
            AssertionError: it refused; its reason.
        """
        status, text = get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        answer = json.loads(text) if text else {}
        assert (status, answer.get("status")) == (200, "success"), answer.get("error", text)
        return answer["data"]

    def series(self, expr: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now: `metric`, `value`."""
        found: list[dict[str, Any]] = self.ask("query", query=expr)["result"]
        return found

    def firing(self) -> dict[tuple[str, str], str]:
        """Return the summaries of the alerts that fire, by name and model ("" where none)."""
        return {
            (one["labels"]["alertname"], one["labels"].get("model", "")): one["annotations"][
                "summary"
            ]
            for one in self.ask("alerts")["alerts"]
            if one["state"] == "firing"
        }
