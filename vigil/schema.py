"""Every file format that passes between stages: columns, dtypes, units; atomic write, checked read.

Coordinates are pixels of the original frame, xyxy, float32. Frames are 0-based int32 and carry
their presentation time in seconds (float64). An absent person is an absent row, a missing joint
is NaN with score 0. Each Parquet file holds its schema version, video id and units in its
metadata. Writers write to a temporary name and rename.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vigil.files import atomic, read_csv, write_json, write_text
from vigil.tables import UNITS, VERSION, Table, column, read_parquet, vector

__all__ = [
    "JOINTS",
    "VERSION",
    "Clip",
    "Label",
    "Masks",
    "Skeletons",
    "Table",
    "Timeline",
    "Tracks",
    "atomic",
    "clip_id",
    "read_clips",
    "read_csv",
    "read_groups",
    "read_labels",
    "write_clips",
    "write_groups",
    "write_json",
    "write_labels",
    "write_text",
]

JOINTS = 17


def clip_id(video_id: str, start_s: float, end_s: float) -> str:
    """Return the stable id of a window: `<video_id>@<start_ms>-<end_ms>`."""
    return f"{video_id}@{round(start_s * 1000)}-{round(end_s * 1000)}"


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


@dataclass(frozen=True)
class Clip:
    """A window of one video that people label and recognizers classify.

    Attributes:
        clip_id: `<video_id>@<start_ms>-<end_ms>`.
        video_id: the video it is cut from.
        start_s: first moment, in seconds.
        end_s: moment after the last, in seconds.
        start_frame: first frame.
        end_frame: frame after the last.
        n_persons: distinct track ids seen in it.
    """

    clip_id: str
    video_id: str
    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    n_persons: int


_CLIP_COLUMNS = pa.schema(
    [("clip_id", pa.string()), ("video_id", pa.string()), ("start_s", pa.float64()),
     ("end_s", pa.float64()), ("start_frame", pa.int32()), ("end_frame", pa.int32()),
     ("n_persons", pa.int32())]
)  # fmt: skip


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """Write the clips of all videos as Parquet to `path`, atomically."""
    rows = [vars(clip) for clip in clips]
    info = {"kind": "clips", "version": VERSION, "units": UNITS}
    table = pa.Table.from_pylist(rows, schema=_CLIP_COLUMNS).replace_schema_metadata(info)
    with atomic(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_clips(path: Path) -> list[Clip]:
    """Read what `write_clips` wrote.

    Raises:
        InputError: not such a file.
    """
    table, _ = read_parquet(path, "clips")
    return [Clip(**row) for row in table.to_pylist()]


@dataclass(frozen=True)
class Label:
    """One published label.

    Attributes:
        clip_id: the clip it speaks of.
        label: one of the project's classes.
        annotator: who said it.
        labeled_at: ISO 8601 time with zone, or empty when unknown.
    """

    clip_id: str
    label: str
    annotator: str
    labeled_at: str


_LABEL_COLUMNS = ["clip_id", "label", "annotator", "labeled_at"]


def write_labels(path: Path, labels: Sequence[Label]) -> None:
    """Write `labels` as CSV (UTF-8, header) to `path`, atomically."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_LABEL_COLUMNS)
        writer.writerows([getattr(label, name) for name in _LABEL_COLUMNS] for label in labels)


def read_labels(path: Path) -> list[Label]:
    """Read a CSV of labels; columns besides the four known ones are ignored.

    Raises:
        InputError: the file is missing, has no row, or lacks `clip_id` or `label`.
    """
    rows = read_csv(path, required=("clip_id", "label"))
    return [
        Label(row["clip_id"], row["label"], row.get("annotator") or "", row.get("labeled_at") or "")
        for row in rows
    ]


def read_groups(path: Path) -> dict[str, str]:
    """Read the CSV `video_id,group` that says which videos share a scene or session.

    Raises:
        InputError: the file is missing, has no row, or lacks a column.
    """
    return {row["video_id"]: row["group"] for row in read_csv(path, ("video_id", "group"))}


def write_groups(path: Path, groups: Mapping[str, str]) -> None:
    """Write the CSV that `read_groups` reads, atomically."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video_id", "group"])
        writer.writerows(sorted(groups.items()))
