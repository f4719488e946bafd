"""What is known of a video frame by frame, as Parquet; see `vigil.tables`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.tables import Table, column, note, rows, vector

JOINTS = 17


@dataclass(frozen=True, eq=False)
class Timeline(Table):
    """The frames that really decode, and when each is shown.

    Attributes:
        time_s: (F,) float64 presentation times in seconds, from 0, strictly increasing.
    """

    kind: ClassVar[str] = "timeline"
    time_s: NDArray[np.float64] = column(pa.float64())

    @property
    def frame_interval_s(self) -> float:
        """Median time between frames in seconds; 0 for a single frame."""
        return float(np.median(np.diff(self.time_s))) if len(self) > 1 else 0.0

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame's start to the last frame's end."""
        return float(self.time_s[-1]) + self.frame_interval_s if len(self) else 0.0


@dataclass(frozen=True, eq=False)
class Tracks(Table):
    """Person boxes with identities, sorted by (frame, track_id).

    Attributes:
        frame: (N,) int32.
        time_s: (N,) float64 seconds.
        track_id: (N,) int32, unique within a frame, constant for a person.
        xyxy: (N, 4) float32 pixels.
        score: (N,) float32 detector score in [0, 1].
    """

    kind: ClassVar[str] = "tracks"
    frame: NDArray[np.int32] = column(pa.int32())
    time_s: NDArray[np.float64] = column(pa.float64())
    track_id: NDArray[np.int32] = column(pa.int32())
    xyxy: NDArray[np.float32] = column(vector(4))
    score: NDArray[np.float32] = column(pa.float32())


@dataclass(frozen=True, eq=False)
class Masks(Table):
    """One mask per tracked person and frame, as compressed COCO run-length codes.

    Attributes:
        frame: (N,) int32.
        track_id: (N,) int32.
        rle: N byte strings, the `counts` of pycocotools for a (height, width) mask.
        source: N of `sam2`, `detector` (an instance segmenter's own mask) or `box` (the mask was
            lost and the person's box stands in).
    """

    kind: ClassVar[str] = "masks"
    frame: NDArray[np.int32] = column(pa.int32())
    track_id: NDArray[np.int32] = column(pa.int32())
    rle: list[bytes] = column(pa.binary())
    source: list[str] = column(pa.string())


@dataclass(frozen=True, eq=False)
class Skeletons(Table):
    """COCO-17 keypoints of tracked persons.

    Attributes:
        frame: (N,) int32.
        time_s: (N,) float64 seconds.
        track_id: (N,) int32.
        keypoints: (N, 34) float32, x and y of 17 joints in pixels, NaN where missing; see `xy`.
        scores: (N, 17) float32 in [0, 1], 0 where missing.
    """

    kind: ClassVar[str] = "skeletons"
    frame: NDArray[np.int32] = column(pa.int32())
    time_s: NDArray[np.float64] = column(pa.float64())
    track_id: NDArray[np.int32] = column(pa.int32())
    keypoints: NDArray[np.float32] = column(vector(2 * JOINTS))
    scores: NDArray[np.float32] = column(vector(JOINTS))

    @property
    def xy(self) -> NDArray[np.float32]:
        """The keypoints as (N, 17, 2)."""
        return self.keypoints.reshape(-1, JOINTS, 2)


NOBODY = -1  # a track id that is none: the whole frame, or no second person


@dataclass(frozen=True, eq=False)
class Embeddings(Table):
    """CLIP's view of tracked persons, pairs and whole frames; sorted by its keys, each once.

    A row is a crop. Its keys are frame, track_id and other_id: the whole frame is (-1, -1), a
    person (id, -1), a pair of people (id, larger id).

    Attributes:
        clip: which CLIP made the vectors; only vectors of one CLIP can be compared.
        frame: (N,) int32.
        time_s: (N,) float64 seconds.
        track_id: (N,) int32, -1 for the whole frame.
        other_id: (N,) int32, the second person of a pair, else -1.
        x1: (N,) float32 left edge of the crop; like the next three in pixels of the original
            frame, and possibly outside it where the crop was padded.
        y1: (N,) float32 top edge.
        x2: (N,) float32 right edge.
        y2: (N,) float32 bottom edge.
        embedding: (N, D) float16 of length 1.
    """

    kind: ClassVar[str] = "embeddings"
    clip: str = note()
    frame: NDArray[np.int32] = column(pa.int32())
    time_s: NDArray[np.float64] = column(pa.float64())
    track_id: NDArray[np.int32] = column(pa.int32())
    other_id: NDArray[np.int32] = column(pa.int32())
    x1: NDArray[np.float32] = column(pa.float32())
    y1: NDArray[np.float32] = column(pa.float32())
    x2: NDArray[np.float32] = column(pa.float32())
    y2: NDArray[np.float32] = column(pa.float32())
    embedding: NDArray[np.float16] = column(rows(pa.float16()))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding.ndim != 2 or not self.embedding.shape[1]:
            raise InputError(
                f"embeddings: {self.video_id}: expected (N, D), got {self.embedding.shape}"
            )
        keys = np.stack([self.frame, self.track_id, self.other_id], axis=1)
        order = np.lexsort(keys.T[::-1])
        if (order != np.arange(len(keys))).any() or (np.diff(keys, axis=0) == 0).all(axis=1).any():
            raise InputError(
                f"embeddings: {self.video_id}: expected rows sorted by frame, track_id and "
                "other_id, each once"
            )

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return int(self.embedding.shape[1])

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """The crop boxes as (N, 4)."""
        return np.stack([self.x1, self.y1, self.x2, self.y2], axis=1)


JUDGED, CARRIED, FALLBACK = 0, 1, 2  # where a frame's score comes from


@dataclass(frozen=True, eq=False)
class FrameScores(Table):
    """What one system says of every frame of a video; every frame of the timeline has a row.

    Attributes:
        system: who judged, e.g. `clip_gru` or `zero_shot_box`.
        classes: C class names, the order of `probabilities`.
        frame: (F,) int32.
        time_s: (F,) float64 seconds.
        score: (F,) float32 in [0, 1], probability of any event.
        probabilities: (F, C) float32.
        source: (F,) int8: 0 judged, 1 carried forward from the last judged frame with decay,
            2 whole-frame fallback.
    """

    kind: ClassVar[str] = "frame_scores"
    system: str = note()
    classes: tuple[str, ...] = note()
    frame: NDArray[np.int32] = column(pa.int32())
    time_s: NDArray[np.float64] = column(pa.float64())
    score: NDArray[np.float32] = column(pa.float32())
    probabilities: NDArray[np.float32] = column(rows(pa.float32()))
    source: NDArray[np.int8] = column(pa.int8())

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probabilities.shape != (len(self), len(self.classes)):
            raise InputError(
                f"frame_scores: {self.video_id}: expected ({len(self)}, {len(self.classes)}) "
                f"probabilities, got {self.probabilities.shape}"
            )
