"""A project of thousands of clips of tiny videos, made for measuring the labeling UI."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from vigil.config import Config, load
from vigil.labels.users import Users
from vigil.paths import Paths
from vigil.schema import Clip, Suggestion, Tracks, clip_id, write_clips, write_suggestions
from vigil.video import VideoWriter

_FPS = 8
_LENGTH_S = 4
_SIZE = (160, 96)


@dataclass(frozen=True)
class BenchProject:
    """Where it lies and who labels it.

    Attributes:
        params: its parameter file.
        passwords: by name of annotator.
    """

    params: Path
    passwords: dict[str, str]


def generate(folder: Path, config: Config, videos: int, clips: int, people: int) -> BenchProject:
    """Write a project.

    Args:
        folder: empty.
        config: parameters to start from.
        videos: how many, each with the same pictures.
        clips: of each video, one a second.
        people: annotators, each of whom may label every clip.
    """
    params = _write_params(folder, config, people)
    config, paths = load(params)
    found = _films(paths, videos, clips)
    write_clips(paths.clips, found)
    _suggest(paths, found, config.classes)
    users = Users(paths.users)
    passwords = {f"annotator{number}": secrets.token_urlsafe(12) for number in range(people)}
    for name, password in passwords.items():
        users.add(name, password, "annotator")
    return BenchProject(params, passwords)


def _write_params(folder: Path, config: Config, people: int) -> Path:
    values = config.model_dump(mode="json")
    values["paths"] |= {
        "videos": "data/videos", "labels": "data/labels.csv", "data": "data", "reports": "reports",
    }  # fmt: skip
    values["labeling"] |= {"host": "127.0.0.1", "port": 0, "database": "", "k": people}
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    return path


def _films(paths: Paths, videos: int, clips: int) -> list[Clip]:
    for place in (paths.videos, paths.proxies, paths.masked, paths.tracks):
        place.mkdir(parents=True)
    first = paths.videos / "v000.mp4"
    times = np.arange((clips + _LENGTH_S - 1) * _FPS) / _FPS
    _film(first, times)
    found = []
    for number in range(videos):
        name = f"v{number:03d}"
        for place in (paths.videos, paths.proxies, paths.masked):
            if place / f"{name}.mp4" != first:
                os.link(first, place / f"{name}.mp4")
        (paths.proxies / f"{name}.jpg").write_bytes(b"\xff\xd8\xff\xd9")
        _tracks(name, times).write(paths.tracks / f"{name}.parquet")
        found += [
            Clip(
                clip_id(name, start, start + _LENGTH_S), name, float(start),
                float(start + _LENGTH_S), start * _FPS, (start + _LENGTH_S) * _FPS, 1,
            )
            for start in range(clips)
        ]  # fmt: skip
    return found


def _film(path: Path, times: NDArray[np.float64]) -> None:
    width, height = _SIZE
    with VideoWriter(path, width, height, keyframe_s=0.5) as writer:
        for number, time_s in enumerate(times.tolist()):
            rgb = np.full((height, width, 3), 90, np.uint8)
            left = number * 3 % (width - 16)
            rgb[24:72, left : left + 16] = (220, 60, 40)
            writer.write(rgb, time_s)


def _tracks(name: str, times: NDArray[np.float64]) -> Tracks:
    count = len(times)
    left = (np.arange(count) * 3 % (_SIZE[0] - 16)).astype(np.float32)
    box = np.stack([left, np.full(count, 24), left + 16, np.full(count, 72)], axis=1)
    return Tracks(
        name, *_SIZE, np.arange(count, dtype=np.int32), times, np.ones(count, np.int32),
        box.astype(np.float32), np.ones(count, np.float32),
    )  # fmt: skip


def _suggest(paths: Paths, clips: Sequence[Clip], classes: Sequence[str]) -> None:
    rest = 0.2 / (len(classes) - 1)
    said = (0.8, *(rest for _ in classes[1:]))
    system = "zero_shot_box"
    write_suggestions(
        paths.suggestions, [Suggestion(clip.clip_id, system, said) for clip in clips], classes
    )
