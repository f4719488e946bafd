"""`python -m stages.serve`: what is configured is served, and Ctrl-C ends it cleanly."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import networks
from vigil.config import load

Make = Callable[[dict[str, Any]], Path]


@pytest.fixture
def served(params: dict[str, Any], project: Make) -> Path:
    """A project on free ports whose repository is still empty."""
    params["serve"] |= {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    return project(params)


def command(params: Path) -> list[str]:
    return [sys.executable, "-m", "stages.serve", "--params", str(params)]


def test_configured_models_are_served_beside_networks_that_only_stages_use(served: Path) -> None:
    paths = load(served)[1]
    networks.recognizer_model(paths.triton_repo, "tiny")
    networks.mlp(paths.onnx("yolo11"))
    with subprocess.Popen(command(served), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        lines: list[str] = []
        for line in running.stdout:
            lines.append(line.strip())
            if "Ctrl-C" in line:
                running.send_signal(signal.SIGINT)
        assert running.wait(120) == 0
    assert "serve: tiny: ready on CPUExecutionProvider" in lines
    assert not [line for line in lines if "yolo11" in line]
    assert lines[-1] == "serve: stopped"


def test_an_empty_repository_is_one_clear_line(served: Path) -> None:
    load(served)[1].triton_repo.mkdir()
    ran = subprocess.run(command(served), capture_output=True, text=True, check=False)
    assert ran.returncode == 3
    assert "expected an exported recognizer" in ran.stderr
    assert "Traceback" not in ran.stderr
