"""Events: what happens in a video, when, and to whom; CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import InputError
from vigil.files import atomic, read_csv


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
