"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent

# The same examples everywhere, however long a slow machine takes for them.
settings.register_profile(
    "anywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("anywhere")

# A shell's background job ignores Ctrl-C, and so would every command that a test starts.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_dir() -> Path:
    """The folder of real footage and weights; the test is skipped where it is absent."""
    folder = Path(os.environ.get("VIGIL_REAL", ROOT.parent / "shared" / "real"))
    parts = ("footage/edge_cases", "ground_truth/coco_people", "skeletons", "weights")
    if not all((folder / part).is_dir() for part in parts):
        pytest.skip("no real footage here: set VIGIL_REAL to its folder")
    return folder


@pytest.fixture
def params() -> dict[str, Any]:
    """The shipped parameter file as a plain dictionary, to be changed by a test."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture
def project(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a parameter file into an empty project; return the file's path."""

    def write(values: dict[str, Any]) -> Path:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
        return path

    return write
