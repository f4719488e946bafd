"""`python -m stages.embed` behind `mask`: every tracked video, the cache, and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import networks
from tests.stages.project import Project
from tests.videos import film, walk
from vigil.schema import Embeddings, Tracks


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that `mask` has run over, with a network that sees mean colors."""
    project = Project(tmp_path_factory.mktemp("embed") / "p")
    film(project.videos / "두 사람.mp4", [walk(40), walk(400, -4)], frames=12)
    film(project.videos / "nobody.mp4", [], frames=3)
    (project.videos / "zero.mp4").touch()
    project.values["embed"] |= {"crop_px": 16, "every_s": 0.25}
    project.save()
    networks.color_clip(project.paths.onnx("clip_image"))
    ran = project.run("mask")
    assert ran.returncode == 0, ran.stderr
    return project


@pytest.mark.slow
def test_every_tracked_person_and_every_frame_is_embedded(tracked: Project) -> None:
    ran = tracked.run("embed")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("embed: 2 of 2 videos")
    assert "1 without tracks left out" in ran.stdout
    found = Embeddings.read(tracked.paths.embeddings / "두 사람.parquet")
    tracks = Tracks.read(tracked.paths.tracks / "두 사람.parquet")
    seen = set(zip(tracks.frame.tolist(), tracks.track_id.tolist(), strict=True))
    alone = (found.track_id >= 0) & (found.other_id < 0)
    keys = set(zip(found.frame[alone].tolist(), found.track_id[alone].tolist(), strict=True))
    assert keys == {key for key in seen if key[0] in {0, 3, 6, 9}}
    assert found.frame[found.track_id < 0].tolist() == [0, 3, 6, 9]
    nobody = Embeddings.read(tracked.paths.embeddings / "nobody.parquet")
    assert nobody.track_id.tolist() == [-1]


@pytest.mark.slow
def test_a_second_run_computes_nothing_and_another_network_everything(tracked: Project) -> None:
    assert tracked.run("embed").returncode == 0
    assert tracked.run("embed").returncode == 0
    assert {row["cache"] for row in tracked.rows("embed").values()} == {"hit"}
    networks.color_clip(tracked.paths.onnx("clip_image"), clip="test/others")
    assert tracked.run("embed").returncode == 0
    assert {row["why"] for row in tracked.rows("embed").values()} == {"changed: clip"}
    table = Embeddings.read(tracked.paths.embeddings / "nobody.parquet")
    assert table.clip == "test/others"


@pytest.mark.slow
def test_crops_of_another_size_than_the_network_takes_are_one_line(tracked: Project) -> None:
    tracked.values["embed"]["crop_px"] = 32
    tracked.save()
    try:
        ran = tracked.run("embed")
    finally:
        tracked.values["embed"]["crop_px"] = 16
        tracked.save()
    assert ran.returncode == 3
    assert ran.stderr.strip().splitlines() == [
        "embed.crop_px: expected 16, the side that the encoder was exported for, got 32; "
        "run the weights stage again"
    ]


def test_without_tracks_the_command_says_what_is_missing(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    film(project.videos / "hall.mp4", frames=2)
    ran = project.run("embed")
    assert ran.returncode == 2
    assert "expected tracks of the videos, got none" in ran.stderr
