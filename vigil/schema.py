"""Every file format that passes between stages: columns, dtypes, units; atomic write, checked read.

Coordinates are pixels of the original frame, xyxy, float32. Frames are 0-based int32 and carry
their presentation time in seconds (float64). An absent person is an absent row, a missing joint
is NaN with score 0. Each Parquet file holds its schema version, video id and units in its
metadata. Writers write to a temporary name and rename.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.files import atomic, read_csv, write_json, write_text
from vigil.tables import UNITS, VERSION, Table, column, note, read_parquet, rows, vector

__all__ = [
    "CARRIED",
    "FALLBACK",
    "JOINTS",
    "JUDGED",
    "NOBODY",
    "VERSION",
    "Clip",
    "Embeddings",
    "Event",
    "FrameScores",
    "Label",
    "Masks",
    "Skeletons",
    "Suggestion",
    "Table",
    "Timeline",
    "Tracks",
    "atomic",
    "clip_id",
    "read_clips",
    "read_csv",
    "read_events",
    "read_groups",
    "read_labels",
    "read_suggestions",
    "write_clips",
    "write_events",
    "write_groups",
    "write_json",
    "write_labels",
    "write_suggestions",
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


def by_video(clips: Iterable[Clip]) -> dict[str, list[Clip]]:
    """Return clips by the id of their video, each list in the order given."""
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.video_id, []).append(clip)
    return found


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


@dataclass(frozen=True)
class Suggestion:
    """What a system makes of a clip before anybody has labeled it.

    Attributes:
        clip_id: the clip.
        system: who suggests.
        probabilities: of each class, in label order.
    """

    clip_id: str
    system: str
    probabilities: tuple[float, ...]


def write_suggestions(
    path: Path, suggestions: Sequence[Suggestion], classes: Sequence[str]
) -> None:
    """Write the CSV `clip_id,system,p_<class>,...` to `path`, atomically."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["clip_id", "system", *(f"p_{name}" for name in classes)])
        for one in suggestions:
            values = (f"{value:.6g}" for value in one.probabilities)
            writer.writerow([one.clip_id, one.system, *values])


def read_suggestions(path: Path, classes: Sequence[str]) -> list[Suggestion]:
    """Read what `write_suggestions` wrote.

    Raises:
        InputError: unreadable, without a row, a column of a class missing, or a value that is no
            probability.
    """
    columns = [f"p_{name}" for name in classes]
    found = []
    for line, row in enumerate(read_csv(path, ("clip_id", "system", *columns)), start=2):
        try:
            values = tuple(float(row[name]) for name in columns)
        except ValueError as error:
            raise InputError(f"{path}: line {line}: expected numbers, got {error}") from error
        if not all(0 <= value <= 1 for value in values):
            raise InputError(f"{path}: line {line}: expected probabilities, got {values}")
        found.append(Suggestion(row["clip_id"], row["system"], values))
    return found


@dataclass(frozen=True)
class Event:
    """Something that happens in a video.

    Attributes:
        video_id: where.
        label: one of the project's classes.
        start_s: when it begins, in seconds.
        end_s: when it is over, in seconds.
        track_ids: who is involved, as ids of `tracks/<video_id>.parquet`; empty where unknown.
        points: who is involved, as (seconds, x, y) in pixels of the original frame: the person
            whose box holds the point at that moment; empty where unknown.
    """

    video_id: str
    label: str
    start_s: float
    end_s: float
    track_ids: tuple[int, ...] = ()
    points: tuple[tuple[float, float, float], ...] = ()


_EVENT_COLUMNS = ["video_id", "label", "start_s", "end_s", "track_ids", "points"]


def write_events(path: Path, events: Sequence[Event]) -> None:
    """Write `events` as CSV (UTF-8, header) to `path`, atomically; see `read_events`."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_EVENT_COLUMNS)
        for event in events:
            points = [":".join(f"{value:.12g}" for value in point) for point in event.points]
            writer.writerow([event.video_id, event.label, event.start_s, event.end_s,
                             " ".join(map(str, event.track_ids)), " ".join(points)])  # fmt: skip


def read_events(path: Path, classes: Sequence[str]) -> list[Event]:
    """Read the CSV `video_id,label,start_s,end_s` with `track_ids` and `points` where known.

    `track_ids` are numbers and `points` are `seconds:x:y`, both separated by spaces. A file with
    nothing but its header says that nothing happens.

    Args:
        path: the file.
        classes: the labels that may appear.

    Raises:
        InputError: unreadable, without a required column or value, a label that is no class, a
            number that is none, or an event that ends before it begins.
    """
    rows = read_csv(path, ("video_id", "label", "start_s", "end_s"), empty=True)
    return [_event(path, number, row, classes) for number, row in enumerate(rows, start=2)]


def _event(path: Path, line: int, row: Mapping[str, str], classes: Sequence[str]) -> Event:
    if row["label"] not in classes:
        raise InputError(
            f"{path}: line {line}: expected a label of {list(classes)}, got {row['label']!r}"
        )
    try:
        start_s, end_s = float(row["start_s"]), float(row["end_s"])
        tracks = tuple(int(text) for text in (row.get("track_ids") or "").split())
        points = tuple(
            (float(time), float(x), float(y))
            for time, x, y in (text.split(":") for text in (row.get("points") or "").split())
        )
    except ValueError as error:
        raise InputError(
            f"{path}: line {line}: expected numbers in seconds, track ids such as '1 4' and points "
            f"such as '2.5:320:180', got {error}"
        ) from error
    if not 0 <= start_s < end_s < float("inf"):
        raise InputError(
            f"{path}: line {line}: expected 0 <= start_s < end_s, got {start_s} and {end_s}"
        )
    return Event(row["video_id"], row["label"], start_s, end_s, tracks, points)
