"""`python -m stages.mask` over good films and bad ones, and after a kill."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.stages.project import Project
from tests.videos import HEIGHT, WIDTH, film, sound, walk
from vigil.schema import Masks, Timeline, Tracks
from vigil.video import decode

ODD_NAME = "cam 1 복도 a=b"
GOOD = {ODD_NAME, "crowd", "nobody", "odd", "turned", "vfr"}
BAD = {"sound", "text", "torn", "zero"}


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Project, subprocess.CompletedProcess[str]]:
    """One run over every kind of footage."""
    project = Project(tmp_path_factory.mktemp("mask") / "프로젝트 1")
    folder = project.videos
    film(folder / f"{ODD_NAME}.mp4", [walk(40), walk(400, -4)], frames=8)
    film(folder / "crowd.mp4", [walk(8 + 40 * i, 0) for i in range(12)], frames=4)
    film(folder / "nobody.mp4", [], frames=4)
    film(folder / "odd.mp4", frames=4, size=(WIDTH - 1, HEIGHT - 1))
    film(folder / "turned.mp4", frames=4, quarter_turns=1)
    film(folder / "vfr.mp4", times=[0, 0.04, 0.5, 0.54, 2.0])
    whole = film(folder / "torn.mp4", frames=40).read_bytes()
    (folder / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    sound(folder / "sound.mp4")
    (folder / "text.mp4").write_text("I am a text file.\n" * 40)
    (folder / "zero.mp4").touch()
    return project, project.run("mask")


Done = tuple[Project, subprocess.CompletedProcess[str]]


def test_good_films_pass_and_bad_ones_are_quarantined(done: Done) -> None:
    project, ran = done
    assert ran.returncode == 0, ran.stderr
    rows = project.rows("mask")
    assert {name for name, row in rows.items() if row["status"] == "ok"} == GOOD
    assert {name for name, row in rows.items() if row["status"] == "quarantined"} == BAD
    assert ran.stdout.strip() == "mask: 6 of 10 videos, 0 from the cache, 4 quarantined"


@pytest.mark.parametrize("name", sorted(BAD))
def test_each_bad_film_has_its_reason_in_one_line(done: Done, name: str) -> None:
    project, ran = done
    why = project.rows("mask")[name]["why"]
    assert why.startswith(f"mask: {name}.mp4: expected a decodable video stream, got ")
    assert "\n" not in why
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_good_film_has_all_its_files_and_nothing_else_lies_about(done: Done) -> None:
    project, _ = done
    paths = project.paths
    for folder in (paths.timelines, paths.tracks, paths.masks):
        assert {path.name for path in folder.iterdir()} == {f"{name}.parquet" for name in GOOD}
    assert {path.name for path in paths.masked.iterdir()} == {f"{name}.mp4" for name in GOOD}
    assert not list(paths.cache.rglob(".part-*"))


def test_what_was_seen_is_what_was_there(done: Done) -> None:
    paths = done[0].paths
    seen = {name: Tracks.read(paths.tracks / f"{name}.parquet") for name in GOOD}
    persons = {name: len(set(tracks.track_id.tolist())) for name, tracks in seen.items()}
    assert persons == {ODD_NAME: 2, "crowd": 12, "nobody": 0, "odd": 1, "turned": 1, "vfr": 1}
    assert {name: tracks.video_id for name, tracks in seen.items()} == {n: n for n in GOOD}
    assert (seen["turned"].width, seen["turned"].height) == (WIDTH, HEIGHT)
    timeline = Timeline.read(paths.timelines / "vfr.parquet")
    assert timeline.time_s.round(3).tolist() == [0, 0.04, 0.5, 0.54, 2.0]


def test_a_second_run_computes_nothing_but_tries_the_bad_ones_again(done: Done) -> None:
    project, _ = done
    before = {p: p.stat().st_ino for p in project.paths.masked.iterdir()}
    again = project.run("mask")
    assert again.returncode == 0, again.stderr
    assert {row["id"] for row in project.rows("mask").values() if row["cache"] == "hit"} == GOOD
    assert {p: p.stat().st_ino for p in project.paths.masked.iterdir()} == before


def test_when_every_film_is_bad_the_command_fails(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    (project.videos / "zero.mp4").touch()
    ran = project.run("mask")
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith(
        "mask: expected at least one usable video, got 1 quarantined; first: mask: zero.mp4"
    )
    assert "Traceback" not in ran.stderr


def test_a_folder_without_videos_is_one_line(tmp_path: Path) -> None:
    ran = Project(tmp_path / "p").run("mask")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "expected at least one video, got none" in ran.stderr


def test_a_network_that_does_not_fit_stops_the_run_at_once(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    film(project.videos / "hall.mp4", frames=2)
    project.values["mask"]["detector"]["input_size"] = [640, 640]
    project.save()
    ran = project.run("mask")
    assert ran.returncode == 3
    assert ran.stderr.strip() == "detector: input_size: expected the network's 512x96, got 640x640"
    shutil.rmtree(project.paths.triton_repo)
    gone = project.run("mask")
    assert gone.returncode == 3
    assert "expected an ONNX file" in gone.stderr


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_half_written_and_the_next_one_finishes(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    film(project.videos / "a.mp4", frames=3)
    film(project.videos / "b.mp4", [walk(40, 0)], frames=3000)
    shutil.copy(project.videos / "b.mp4", project.videos / "c.mp4")
    store = project.paths.cache / "mask"
    running = subprocess.Popen(
        project.command("mask"), cwd=ROOT, env=project.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 1200
        while not (list(store.glob("*/done")) and len(list(store.glob(".part-*"))) == 2):
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.05)
        workers = psutil.Process(running.pid).children(recursive=True)
    finally:
        running.kill()
        running.wait()
    _, orphans = psutil.wait_procs(workers, timeout=120)
    for orphan in orphans:
        orphan.kill()
    assert not orphans, "workers outlived the killed command"
    assert not project.paths.masked.exists() or not list(project.paths.masked.iterdir())
    for name in ("b", "c"):
        film(project.videos / f"{name}.mp4", frames=3)
    again = project.run("mask")
    assert again.returncode == 0, again.stderr
    assert {name: row["cache"] for name, row in project.rows("mask").items()} == {
        "a": "hit",
        "b": "miss",
        "c": "miss",
    }
    assert not list(store.glob(".part-*"))
    assert {path.name for path in project.paths.masked.iterdir()} == {"a.mp4", "b.mp4", "c.mp4"}


@pytest.mark.slow
def test_a_header_that_lies_about_its_length_is_not_believed(
    tmp_path: Path, real_dir: Path
) -> None:
    project = Project(tmp_path / "p")
    source = real_dir / "footage" / "edge_cases" / "ambianic_bad_framecount.mkv"
    shutil.copy(source, project.videos / "lies.mkv")
    ran = project.run("mask")
    assert ran.returncode == 0, ran.stderr
    assert len(Timeline.read(project.paths.timelines / "lies.parquet")) == 60
    assert len(list(decode(project.paths.masked / "lies.mp4"))) == 60
    assert Masks.read(project.paths.masks / "lies.parquet").video_id == "lies"
