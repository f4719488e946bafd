"""`python -m stages.clips`: all windows of all videos in one table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.stages.project import Project
from vigil.schema import Timeline, Tracks, read_clips


def seen(project: Project, video_id: str, seconds: float) -> None:
    """Write the timeline and tracks of a video that shows one person all along."""
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
    assert ran.stdout.strip() == "clips: 5 windows of 3 videos; 1 too short for one"
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
