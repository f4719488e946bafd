"""Projects to label: two short films, their tracks and skeletons, clips, suggestions, users."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.skeletons import skeletons
from tests.videos import FPS, film
from vigil.config import Config, load
from vigil.labels.users import Users
from vigil.paths import Paths
from vigil.schema import Clip, Suggestion, Tracks, clip_id, write_clips, write_suggestions

ROOT = Path(__file__).parent.parent.parent
CLASSES = ("normal", "<script>alert(1)</script>", "a \"b\" 'c' & d", "🔥 fire", "쓰러짐")
FRAMES = 72  # 6 s
PASSWORD = "correct horse"  # noqa: S105
PEOPLE = {"ann": "annotator", "bob": "annotator", "rita": "reviewer", "adam": "admin"}


@dataclass(frozen=True)
class Project:
    """A folder with a parameter file.

    Attributes:
        params: the file.
        config: what it says.
        paths: the places it implies.
        clips: all that can be labeled.
    """

    params: Path
    config: Config
    paths: Paths
    clips: Sequence[Clip]


def make(
    folder: Path, people: bool = True, videos: int = 2, classes: Sequence[str] = CLASSES,
    **labeling: Any,
) -> Project:  # fmt: skip
    """Write a project; each video holds five clips of 2 s and two people, 1 and 2."""
    params = folder / "params.yaml"
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["classes"], values["normal_class"] = list(classes), classes[0]
    values["paths"] |= {"videos": "data/videos", "labels": "data/labels.csv"}
    values["labeling"] |= {"port": 0, "suggestions": "zero_shot_box", **labeling}
    params.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    config, paths = load(params)
    for place in (paths.videos, paths.proxies, paths.masked):
        place.mkdir(parents=True)
    clips = [clip for number in range(videos) for clip in _video(paths, f"v{number}")]
    write_clips(paths.clips, clips)
    said = (0.02, 0.91, 0.03, 0.02, 0.02)[: len(classes)]
    write_suggestions(
        paths.suggestions,
        [Suggestion(clip.clip_id, system, said) for clip in clips
         for system in ("zero_shot_box", "zero_shot_frame")],
        classes,
    )  # fmt: skip
    if people:
        users = Users(paths.users)
        for name, role in PEOPLE.items():
            users.add(name, PASSWORD, role)
    return Project(params, config, paths, clips)


def _video(paths: Paths, video_id: str) -> list[Clip]:
    video = film(paths.videos / f"{video_id}.mp4", frames=FRAMES)
    shutil.copy(video, paths.proxies)
    shutil.copy(video, paths.masked)
    (paths.proxies / f"{video_id}.jpg").write_bytes(b"\xff\xd8thumbnail\xff\xd9")
    frame = np.repeat(np.arange(FRAMES, dtype=np.int32), 2)
    box = np.tile(np.array([[10, 10, 40, 80], [60, 10, 90, 80]], np.float32), (FRAMES, 1))
    Tracks(
        video_id, 512, 96, frame, frame / FPS, np.tile(np.array([1, 2], np.int32), FRAMES), box,
        np.full(2 * FRAMES, 0.9, np.float32),
    ).write(paths.tracks / f"{video_id}.parquet")  # fmt: skip
    joints = np.tile(np.arange(34, dtype=np.float32).reshape(17, 2), (FRAMES, 1, 1))
    joints[:, 4] = np.nan
    skeletons(video_id, {1: joints}).write(paths.skeletons / f"{video_id}.parquet")
    return [
        Clip(clip_id(video_id, start, start + 2), video_id, float(start), start + 2.0,
             start * FPS, (start + 2) * FPS, 2)
        for start in range(5)
    ]  # fmt: skip
