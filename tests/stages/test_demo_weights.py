"""`python -m stages.demo_weights`: one command trains all networks from nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.conftest import ROOT

NETWORKS = ("yolo11n", "sam2", "rtmo", "clip", "clip_gru", "protogcn")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_one_command_trains_every_network_into_the_folder_asked_for(tmp_path: Path) -> None:
    """At the smallest size: this proves the command, not the quality of what it trains."""
    out, work = tmp_path / "weights", tmp_path / "work"
    small = [
        "--images",
        "24",
        "--epochs",
        "1",
        "--minutes",
        "0.02",
        "--scenes",
        "24",
        "--rendered-scenes",
        "2",
        "--crop-scenes",
        "24",
        "--film-scenes",
        "3",
    ]
    command = [sys.executable, "-m", "stages.demo_weights", *small]
    places = ["--out", str(out), "--work", str(work)]
    shipped = {path: path.read_bytes() for path in (ROOT / "vigil/demo/weights").iterdir()}
    done = subprocess.run([*command, *places], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in NETWORKS:
        assert json.loads((work / name / "metrics.json").read_text())
        with safe_open(out / f"{name}.safetensors", "numpy") as weights:
            assert list(weights.keys())
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{n}.safetensors" for n in NETWORKS
    )
    assert all(path.read_bytes() == content for path, content in shipped.items())
