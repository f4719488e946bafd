"""Clips, and what people and systems say of them: Parquet and CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vigil.errors import InputError
from vigil.files import atomic, read_csv
from vigil.tables import UNITS, VERSION, read_parquet


def clip_id(video_id: str, start_s: float, end_s: float) -> str:
    """Return the stable id of a window: `<video_id>@<start_ms>-<end_ms>`."""
    return f"{video_id}@{round(start_s * 1000)}-{round(end_s * 1000)}"


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
