"""One pass over a video: detect, track, segment, and write everything but people black.

Footage is decoded, looked at and written in chunks of bounded size; a long video needs no more
memory than a short one beyond the rows of its tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, MaskSection
from vigil.errors import InputError
from vigil.items import Item, file_hash
from vigil.paths import Paths
from vigil.perception.detector import PersonDetector, load_detector
from vigil.perception.person_mask import PersonMask
from vigil.perception.segmenter import Segmenter, load_segmenter, weights_file
from vigil.perception.tracker import PersonTracker, TrackedPersons
from vigil.schema import Masks, Timeline, Tracks
from vigil.video import Frame, VideoWriter, decode

VERSION = 1  # raise it when the same inputs give other masks, so that caches are passed over


def mask_item(config: Config, paths: Paths, item: Item, out: Path) -> None:
    """Compute one video's tracks, masks, timeline and masked video in `out`; for workers.

    Args:
        config: all parameters.
        paths: of the project.
        item: its only input is the video.
        out: an existing folder.
    """
    detector, segmenter = _networks(config, paths)
    mask_video(item.inputs[0], item.id, out, detector, segmenter, config.mask)


def mask_key(config: Config, paths: Paths) -> dict[str, Any]:
    """Return what besides the video decides over the result; see `vigil.items.Work.key`.

    Raises:
        ModelError: a network's file is missing, or the detector does not fit the parameters.
    """
    load_detector(config, paths)
    segmenter = weights_file(config, paths)
    return {
        "version": VERSION,
        "mask": config.mask.model_dump(mode="json"),
        "detector": file_hash(paths.onnx(config.mask.detector.name)),
        "segmenter": None if segmenter is None else file_hash(segmenter),
    }


@lru_cache(maxsize=1)
def _networks(config: Config, paths: Paths) -> tuple[PersonDetector, Segmenter]:
    return load_detector(config, paths), load_segmenter(config, paths)


def mask_video(
    video: Path,
    video_id: str,
    out: Path,
    detector: PersonDetector,
    segmenter: Segmenter,
    config: MaskSection,
) -> None:
    """Write `timeline.parquet`, `tracks.parquet`, `masks.parquet` and `masked.mp4` into `out`.

    Args:
        video: the footage.
        video_id: goes into the tables.
        out: an existing folder.
        detector: finds people.
        segmenter: draws them.
        config: the tracker's part is used here; `max_persons` bounds memory.

    Raises:
        InputError: the footage cannot be decoded, or changes its size on the way.
    """
    frames = iter(decode(video))
    first = next(frames)
    height, width = first.rgb.shape[:2]
    tracker = PersonTracker(config.tracker)
    rows = _Rows(height, width)
    most = segmenter.chunk_frames(height, width, config.max_persons)
    with VideoWriter(out / "masked.mp4", width, height) as writer:
        for chunk in _chunks(chain([first], frames), most, segmenter.chunk_s):
            _check_size(video, chunk, (height, width))
            images = [frame.rgb for frame in chunk]
            found = detector.detect(images)
            persons = [
                tracker.update(people, frame.time_s)
                for frame, people in zip(chunk, found, strict=True)
            ]
            drawn = segmenter.segment(images, persons)
            for frame, people, masks in zip(chunk, persons, drawn, strict=True):
                rows.add(frame, people, masks)
                writer.write(_only(frame, masks), frame.time_s)
    rows.write(video_id, out)


@dataclass
class _Rows:
    """The tables of one video while they grow; masks are kept run-length coded."""

    height: int
    width: int
    times: list[float] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    persons: list[TrackedPersons] = field(default_factory=list)
    rle: list[bytes] = field(default_factory=list)
    source: list[str] = field(default_factory=list)

    def add(self, frame: Frame, people: TrackedPersons, masks: Sequence[PersonMask]) -> None:
        """Append one frame and the people on it."""
        self.times.append(frame.time_s)
        self.frame.extend([frame.index] * len(people))
        if len(people):
            self.persons.append(replace(people, masks=None))
        self.rle.extend(mask.rle(self.height, self.width) for mask in masks)
        self.source.extend(mask.source for mask in masks)

    def write(self, video_id: str, out: Path) -> None:
        """Write the three tables."""
        size = (video_id, self.width, self.height)
        time_s = np.asarray(self.times, dtype=np.float64)
        frame = np.asarray(self.frame, dtype=np.int32)
        nobody = TrackedPersons(
            np.empty(0, np.int32), np.empty((0, 4), np.float32), np.empty(0, np.float32)
        )
        people = [nobody, *self.persons]
        track_id = np.concatenate([some.track_id for some in people])
        xyxy = np.concatenate([some.xyxy for some in people])
        score = np.concatenate([some.score for some in people])
        Timeline(*size, time_s).write(out / "timeline.parquet")
        Tracks(*size, frame, time_s[frame], track_id, xyxy, score).write(out / "tracks.parquet")
        Masks(*size, frame, track_id, self.rle, self.source).write(out / "masks.parquet")


def _only(frame: Frame, masks: Sequence[PersonMask]) -> NDArray[np.uint8]:
    """Return the frame with every pixel outside all masks black."""
    canvas = np.zeros(frame.rgb.shape[:2], dtype=np.uint8)
    for mask in masks:
        mask.paint(canvas)
    return np.asarray(cv2.bitwise_and(frame.rgb, frame.rgb, mask=canvas), dtype=np.uint8)


def _chunks(frames: Iterable[Frame], most: int, seconds: float) -> Iterator[list[Frame]]:
    """Split into runs of at most `most` frames that span less than `seconds`."""
    chunk: list[Frame] = []
    for frame in frames:
        if len(chunk) == most or (chunk and frame.time_s - chunk[0].time_s >= seconds):
            yield chunk
            chunk = []
        chunk.append(frame)
    if chunk:
        yield chunk


def _check_size(video: Path, frames: Sequence[Frame], size: tuple[int, int]) -> None:
    for frame in frames:
        height, width = frame.rgb.shape[:2]
        if (height, width) != size:
            raise InputError(
                f"{video.name}: expected {size[1]}x{size[0]} in every frame, "
                f"got {width}x{height} in frame {frame.index}"
            )
