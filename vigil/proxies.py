"""Small copies of videos for people to look at: browsers play and seek them at once.

A proxy shows each frame of its video at the frame's own presentation time, so that seconds and
windows mean the same in both; it only has fewer pixels and key frames close together. Beside it
lies a thumbnail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.config import ProxySection
from vigil.errors import InputError
from vigil.items import Item
from vigil.paths import Paths
from vigil.video import Frame, VideoWriter, decode, list_videos

VERSION = 1  # raise it when the same video gives another proxy, so that caches are passed over
_ROUNDING_S = 1e-6
_JPEG_QUALITY = 85


def proxy_items(paths: Paths, params: ProxySection) -> list[Item]:
    """Return one item per video that has tracks, its input the raw or the masked video.

    Args:
        paths: of the project.
        params: which of the two is shown.

    Raises:
        InputError: a video with tracks is gone.
    """
    folder = paths.masked if params.source == "masked" else paths.videos
    videos = {video.stem: video for video in list_videos(folder)}
    items = []
    for tracks in sorted(paths.tracks.glob("*.parquet")):
        if tracks.stem not in videos:
            raise InputError(f"clips: {folder}: expected the video {tracks.stem}, got none")
        items.append(Item(tracks.stem, (videos[tracks.stem],)))
    return items


def proxy_key(params: ProxySection) -> dict[str, Any]:
    """Return what besides the video decides over the result; see `vigil.items.Work.key`."""
    return {"params": params.model_dump(mode="json"), "version": VERSION}


def proxy_item(params: ProxySection, item: Item, out: Path) -> None:
    """Write one video's `proxy.mp4` and `thumbnail.jpg` into `out`; for workers.

    Args:
        params: sizes and key frames.
        item: its only input is the video.
        out: an existing folder.

    Raises:
        InputError: not a frame can be decoded.
    """
    frames = decode(item.inputs[0], params.height)
    first = next(frames)
    height, width = first.rgb.shape[:2]
    thumbnail = first.rgb
    with VideoWriter(
        out / "proxy.mp4", width, height, keyframe_s=params.keyframe_s, crf=params.crf
    ) as writer:
        for frame, key in with_keys(chain([first], frames), params.keyframe_s):
            writer.write(frame.rgb, frame.time_s, key=key)
            if frame.time_s <= params.thumbnail_s:
                thumbnail = frame.rgb
    (out / "thumbnail.jpg").write_bytes(_jpeg(thumbnail, params.thumbnail_height))


def with_keys(frames: Iterable[Frame], keyframe_s: float) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame and whether a group of pictures must begin with it.

    The time between key frames is at most `keyframe_s`, unless a single frame is shown longer.

    Args:
        frames: in presentation order.
        keyframe_s: longest time between two key frames in seconds.
    """
    last, source = -math.inf, iter(frames)
    frame = next(source, None)
    while frame is not None:
        following = next(source, None)
        after_s = frame.time_s if following is None else following.time_s
        key = after_s - last > keyframe_s + _ROUNDING_S
        last = frame.time_s if key else last
        yield frame, key
        frame = following


def _jpeg(rgb: NDArray[np.uint8], height: int) -> bytes:
    """Return an (H, W, 3) uint8 picture as JPEG, scaled down to `height` pixels if higher."""
    if rgb.shape[0] > height:
        width = max(round(rgb.shape[1] * height / rgb.shape[0]), 1)
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise RuntimeError(f"expected a JPEG of {rgb.shape}, got none")
    return bytes(data)
