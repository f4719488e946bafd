"""Errors are learned from drawn scenes that the demo's networks look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from vigil.demo.images import scene_seeds
from vigil.demo.learned_errors import read
from vigil.demo.simulated import scene_id
from vigil.demo.world.scenes import make_scene

COMMAND = [sys.executable, "-m", "vigil.demo.train_errors"]


@pytest.mark.slow
def test_errors_of_the_demos_networks_are_learned(tmp_path: Path) -> None:
    out = tmp_path / "errors.safetensors"
    command = [*COMMAND, "--out", str(out), "--scenes", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "mean loss" in done.stdout.splitlines()[-1]
    kept = sorted((tmp_path / "errors").glob("*/sim_*.parquet"))
    seeds = scene_seeds("train", 60, 2)
    assert [path.stem for path in kept] == sorted(scene_id(seed) for seed in seeds)
    scene = make_scene(seeds[0], fps=12)
    people = read(out).people(scene, np.random.default_rng(0))
    assert (people.score > 0).any()


def test_one_scene_is_too_few(tmp_path: Path) -> None:
    command = [*COMMAND, "--out", str(tmp_path / "e.safetensors"), "--scenes", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr == "errors: expected 2 scenes or more, got 1\n"
