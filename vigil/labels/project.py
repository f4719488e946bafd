"""The label store of one project: where it lies, and how it follows the project's clips."""

from __future__ import annotations

import json
from pathlib import Path

from vigil.config import Config
from vigil.errors import InputError
from vigil.files import write_json
from vigil.items import file_hash
from vigil.labels.database import sqlite_url
from vigil.labels.store import LabelStore
from vigil.paths import Paths
from vigil.schema import read_clips
from vigil.video import list_videos

_HASHES = "video_hashes.json"


def open_store(config: Config, paths: Paths) -> LabelStore:
    """Open the project's store: `labeling.database`, or SQLite in `paths.labeling`.

    Args:
        config: the section `labeling`.
        paths: of the project.

    Raises:
        InputError: not a database that can be had here.
        StoreError: it cannot be opened, or a newer vigil made it.
    """
    url = config.labeling.database or sqlite_url(paths.label_store)
    return LabelStore.open(url, config.labeling)


def sync(store: LabelStore, paths: Paths) -> list[str]:
    """Let the store follow `clips.parquet` and the videos' bytes.

    Args:
        store: of the project.
        paths: of the project.

    Returns:
        Videos of clips whose file is gone; their clips stay as they are.

    Raises:
        InputError: no clips, or a video that cannot be read.
    """
    clips = read_clips(paths.clips)
    videos = {video.stem: video for video in list_videos(paths.videos)}
    wanted = sorted({clip.video_id for clip in clips})
    missing = [name for name in wanted if name not in videos]
    here = [videos[name] for name in wanted if name in videos]
    store.sync_clips(clips, video_hashes(here, paths.cache / _HASHES))
    return missing


def video_hashes(videos: list[Path], cache: Path) -> dict[str, str]:
    """Return the sha256 of each video by its id; what did not change is not read again.

    Args:
        videos: the files.
        cache: JSON of hashes by size and time of change; may be absent or lost.

    Raises:
        InputError: a file cannot be read.
    """
    before = _read(cache)
    after = {}
    for video in videos:
        found = _stamp(video)
        same = before.get(video.stem, {}).get("stamp") == found
        digest = before[video.stem]["sha256"] if same else file_hash(video)
        after[video.stem] = {"stamp": found, "sha256": digest}
    if after != before:
        write_json(cache, after)
    return {name: str(entry["sha256"]) for name, entry in after.items()}


def _stamp(video: Path) -> list[int]:
    try:
        info = video.stat()
    except OSError as error:
        raise InputError(f"{video}: expected a readable file, got {error.strerror}") from error
    return [info.st_size, info.st_mtime_ns, info.st_ino]


def _read(cache: Path) -> dict[str, dict[str, object]]:
    try:
        loaded = json.loads(cache.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(loaded, dict) and all(isinstance(one, dict) for one in loaded.values())
    return loaded if whole else {}
