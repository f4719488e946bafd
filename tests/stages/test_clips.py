"""`python -m stages.clips`: all windows of all videos in one table, and a proxy of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stages.project import Project
from tests.videos import film
from vigil.schema import Timeline, Tracks, read_clips
from vigil.video import decode


def seen(project: Project, video_id: str, seconds: float) -> None:
    """Write a video, and the timeline and tracks of one person who is seen all along."""
    film(project.videos / f"{video_id}.mp4", times=[0.0, 0.1], size=(64, 48))
    time_s = np.arange(round(seconds * 10)) / 10
    n = len(time_s)
    frame, track_id = np.arange(n, dtype=np.int32), np.ones(n, dtype=np.int32)
    xyxy, score = np.zeros((n, 4), np.float32), np.ones(n, np.float32)
    Timeline(video_id, 64, 48, time_s).write(project.paths.timelines / f"{video_id}.parquet")
    tracks = Tracks(video_id, 64, 48, frame, time_s, track_id, xyxy, score)
    tracks.write(project.paths.tracks / f"{video_id}.parquet")


def test_windows_of_all_videos_are_one_table(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    for video_id, seconds in (("문 앞", 8), ("b", 6), ("short", 1)):
        seen(project, video_id, seconds)
    ran = project.run("clips")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "clips: 5 windows of 3 videos; 1 too short for one",
        "proxies: 3 of 3 videos, 0 from the cache",
    ]
    assert {path.name for path in project.paths.proxies.iterdir()} == {
        f"{video_id}.{kind}" for video_id in ("b", "short", "문 앞") for kind in ("mp4", "jpg")
    }
    clips = read_clips(project.paths.clips)
    assert [clip.clip_id for clip in clips] == [
        "b@0-4000", "b@2000-6000", "문 앞@0-4000", "문 앞@2000-6000", "문 앞@4000-8000",
    ]  # fmt: skip
    assert {clip.n_persons for clip in clips} == {1}
    assert {name: row["clips"] for name, row in project.rows("clips").items()} == {
        "문 앞": 3,
        "b": 2,
        "short": 0,
    }


def test_nothing_but_short_videos_is_an_error(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    seen(project, "short", 1)
    ran = project.run("clips")
    assert ran.returncode == 2
    assert ran.stderr.strip() == "clips: expected a video of at least 4.0 s, got 1 shorter ones"
    assert not project.paths.clips.exists()


def test_no_tracks_at_all_is_an_error(tmp_path: Path) -> None:
    ran = Project(tmp_path / "p").run("clips")
    assert ran.returncode == 2
    assert "expected tracks of videos, got none" in ran.stderr


def test_a_broken_video_loses_its_proxy_and_nothing_else(tmp_path: Path) -> None:
    """A second run computes nothing but tries the broken one again."""
    project = Project(tmp_path / "p")
    for video_id in ("good", "torn"):
        seen(project, video_id, 6)
    (project.videos / "torn.mp4").write_text("I am a text file.\n" * 40)
    for line in (
        "proxies: 1 of 2 videos, 0 from the cache, 1 quarantined",
        "proxies: 1 of 2 videos, 1 from the cache, 1 quarantined",
    ):
        ran = project.run("clips")
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines()[-1] == line
    assert {path.name for path in project.paths.proxies.iterdir()} == {"good.mp4", "good.jpg"}
    why = project.rows("proxies")["torn"]["why"]
    assert why.startswith("proxies: torn.mp4: expected a decodable video stream, got ")
    assert {clip.video_id for clip in read_clips(project.paths.clips)} == {"good", "torn"}


def test_masked_proxies_are_made_of_the_masked_video(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    seen(project, "a", 6)
    project.paths.masked.mkdir(parents=True)
    film(project.paths.masked / "a.mp4", times=[0.0, 0.1, 0.2], size=(64, 48))
    project.values["clips"]["proxy"]["source"] = "masked"
    project.save()
    ran = project.run("clips")
    assert ran.returncode == 0, ran.stderr
    assert len(list(decode(project.paths.proxies / "a.mp4"))) == 3
    (project.paths.masked / "a.mp4").unlink()
    gone = project.run("clips")
    assert gone.returncode == 2
    assert gone.stderr.strip().endswith("masked: expected the video a, got none")
