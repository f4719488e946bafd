"""Boxes, identities and skeletons of one clip, as the browser draws them over its video."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labeling_ui.marks import mark
from vigil.errors import InputError, NotFound
from vigil.paths import Paths
from vigil.schema import JOINTS, Clip

_KEPT = 128  # clips whose overlay stays in memory, packed: a few kB to 100 kB each


class Overlays:
    """Overlays of clips by clip, the last ones kept; safe to use from threads.

    Args:
        paths: of the project.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Any, ...], tuple[bytes, str]] = OrderedDict()

    def packed(self, clip: Clip) -> tuple[bytes, str]:
        """Return a clip's overlay as gzipped JSON, and its entity tag.

        Raises:
            NotFound: the video has no tracks.
            InputError: a file that is not what it should be.
        """
        files = [folder / f"{clip.video_id}.parquet"
                 for folder in (self._paths.tracks, self._paths.skeletons)]  # fmt: skip
        key = (clip.clip_id, *(mark(file) for file in files))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        body = json.dumps(overlay(clip, *files), separators=(",", ":")).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        found = gzip.compress(body, 6, mtime=0), tag
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found


def overlay(clip: Clip, tracks: Path, skeletons: Path) -> dict[str, Any]:
    """Read who is where in a clip.

    Args:
        clip: the window.
        tracks: Parquet of its video's boxes.
        skeletons: Parquet of its video's keypoints; may be absent.

    Returns:
        `width` and `height` in pixels of the original frame; `frames`, each with `t` in seconds
        of the video and `persons`: `track_id`, `xyxy` in pixels, and `keypoints`, 17 of
        `[x, y, score]` or none; a joint that is missing is `[null, null, 0]`.

    Raises:
        NotFound: no tracks.
        InputError: a file that is not what it should be.
    """
    if not tracks.is_file():
        raise NotFound(f"{clip.video_id}: expected its tracks, got none")
    columns, size = _window(tracks, "tracks", clip, ["time_s", "frame", "track_id", "xyxy"])
    joints = _joints(skeletons, clip) if skeletons.is_file() else {}
    frames: dict[int, dict[str, Any]] = {}
    boxes = columns["xyxy"].reshape(-1, 4).round(1).tolist()
    rows = zip(columns["frame"].tolist(), columns["time_s"].round(4).tolist(),
               columns["track_id"].tolist(), boxes, strict=True)  # fmt: skip
    for frame, time_s, track_id, xyxy in rows:
        at = frames.setdefault(frame, {"t": time_s, "persons": []})
        at["persons"].append(
            {"track_id": track_id, "xyxy": xyxy, "keypoints": joints.get((frame, track_id), [])}
        )
    return {"width": size[0], "height": size[1], "frames": [frames[n] for n in sorted(frames)]}


def persons(clip: Clip, paths: Paths) -> frozenset[int]:
    """Return the track ids of the people in a clip; none where the video has no tracks.

    Raises:
        InputError: tracks that are not what they should be.
    """
    tracks = paths.tracks / f"{clip.video_id}.parquet"
    if not tracks.is_file():
        return frozenset()
    columns, _ = _window(tracks, "tracks", clip, ["track_id"])
    return frozenset(columns["track_id"].tolist())


def _joints(path: Path, clip: Clip) -> dict[tuple[int, int], list[Any]]:
    """Return 17 of `[x, y, score]` by (frame, track id)."""
    columns, _ = _window(path, "skeletons", clip, ["frame", "track_id", "keypoints", "scores"])
    points = columns["keypoints"].reshape(-1, JOINTS, 2).round(1)
    scores = columns["scores"].reshape(-1, JOINTS).round(2).tolist()
    seen = np.isfinite(points).all(-1).tolist()
    keys = zip(columns["frame"].tolist(), columns["track_id"].tolist(), strict=True)
    return {
        key: [[*xy, score] if ok else [None, None, 0] for xy, score, ok in zip(*row, strict=True)]
        for key, *row in zip(keys, points.tolist(), scores, seen, strict=True)
    }


def _window(
    path: Path, kind: str, clip: Clip, names: list[str]
) -> tuple[dict[str, NDArray[Any]], tuple[int, int]]:
    """Read some columns of a clip's rows, and the frame's size."""
    try:
        info = pq.read_schema(path).metadata or {}
        inside = (pc.field("time_s") >= clip.start_s) & (pc.field("time_s") < clip.end_s)
        table = pq.read_table(path, columns=names, filters=inside)
        size = int(info[b"width"]), int(info[b"height"])
        if info.get(b"kind") != kind.encode():
            raise KeyError(kind)
        return {name: _values(table[name]) for name in names}, size
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path.name}: expected {kind}, got {error!r}") from error


def _values(column: Any) -> NDArray[Any]:
    """Return a column as an array; lists of numbers are laid end to end."""
    whole = column.combine_chunks()
    flat = whole.flatten() if hasattr(whole.type, "list_size") else whole
    return np.asarray(flat.to_numpy(zero_copy_only=False))
