"""`python -m stages.skeletons` behind `mask`: raw or masked footage, and what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.red_networks import JOINT_OFFSETS, MISSING_JOINT
from tests.stages.project import Project
from tests.videos import HEIGHT, TOP, WIDTH, film, walk
from vigil.schema import Skeletons, Tracks


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that `mask` has run over."""
    project = Project(tmp_path_factory.mktemp("skeletons") / "p")
    project.values["workers"] = 1
    project.save()
    film(project.videos / "두 사람.mp4", [walk(40), walk(400, -4)], frames=12)
    film(project.videos / "nobody.mp4", [], frames=3)
    film(project.videos / "odd.mp4", [walk(40, 0)], frames=3, size=(WIDTH - 1, HEIGHT - 1))
    (project.videos / "zero.mp4").touch()
    ran = project.run("mask")
    assert ran.returncode == 0, ran.stderr
    return project


@pytest.mark.parametrize("source", ["raw", "masked"])
def test_every_tracked_person_has_one_skeleton(masked: Project, source: str) -> None:
    masked.values["skeletons"]["source"] = source
    masked.save()
    ran = masked.run("skeletons")
    assert ran.returncode == 0, ran.stderr
    left_out = "; 1 without tracks left out" if source == "raw" else ""
    assert ran.stdout.strip() == f"skeletons: 3 of 3 videos, 0 from the cache{left_out}"
    found = Skeletons.read(masked.paths.skeletons / "두 사람.parquet")
    tracks = Tracks.read(masked.paths.tracks / "두 사람.parquet")
    np.testing.assert_array_equal(found.frame, tracks.frame)
    np.testing.assert_array_equal(found.track_id, tracks.track_id)
    np.testing.assert_array_equal(found.time_s, tracks.time_s)
    first = found.xy[0]
    wanted = JOINT_OFFSETS + np.float32([40, TOP])
    wanted[MISSING_JOINT] = np.nan
    np.testing.assert_allclose(first, wanted, atol=4.1)
    assert len(Skeletons.read(masked.paths.skeletons / "nobody.parquet")) == 0
    assert len(Skeletons.read(masked.paths.skeletons / "odd.parquet")) == 3


def test_without_tracks_the_command_says_what_is_missing(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    film(project.videos / "hall.mp4", frames=2)
    ran = project.run("skeletons")
    assert ran.returncode == 2
    assert ran.stderr.startswith("skeletons: ")
    assert "expected tracks of the videos, got none" in ran.stderr


def test_a_missing_network_is_one_line(masked: Project) -> None:
    network = masked.paths.onnx("rtmo")
    hidden = network.rename(network.with_suffix(".hidden"))
    try:
        ran = masked.run("skeletons")
    finally:
        hidden.rename(network)
    assert ran.returncode == 3
    assert len(ran.stderr.splitlines()) == 1
