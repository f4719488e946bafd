"""Real footage in the stages' shape: linked, never copied; every clip has its video's label."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vigil.config import load
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.real import link_videos, publish_labels
from vigil.schema import Clip, read_groups, read_labels


@pytest.fixture
def paths(params: dict[str, Any], project: Callable[[dict[str, Any]], Path]) -> Paths:
    return load(project(params))[1]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "real"
    folder.mkdir()
    for name in ("fi 1.mp4", "no=2.mp4"):
        (folder / name).write_bytes(b"film")
    (folder / "labels.csv").write_text(
        "video,label,scene\nfi 1.mp4,assault,s1\nno=2.mp4,normal,s2\n"
    )
    return folder


def test_videos_are_linked_and_scenes_written(source: Path, paths: Paths) -> None:
    assert link_videos(source, paths) == 2
    assert link_videos(source, paths) == 2, "a second run finds them in place"
    assert (paths.videos / "fi 1.mp4").is_symlink()
    assert read_groups(paths.groups) == {"fi 1": "s1", "no=2": "s2"}


def test_clips_take_the_label_of_their_video(source: Path, paths: Paths) -> None:
    clips = [Clip(f"{v}@0-2000", v, 0, 2, 0, 50, 1) for v in ("fi 1", "no=2", "other")]
    assert publish_labels(source, clips, paths) == 2
    found = {label.clip_id: label.label for label in read_labels(paths.labels)}
    assert found == {"fi 1@0-2000": "assault", "no=2@0-2000": "normal"}


@pytest.mark.parametrize("name", ["gone.mp4", "../real/fi 1.mp4x", "/etc/passwd"])
def test_a_named_video_outside_or_missing_is_refused(source: Path, paths: Paths, name: str) -> None:
    (source / "labels.csv").write_text(f"video,label,scene\n{name},assault,s1\n")
    with pytest.raises(InputError, match="expected the video"):
        link_videos(source, paths)
