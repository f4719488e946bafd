"""BORIS: aggregated events as CSV, a row a person; its tabular events are read as well.

The comments carry what BORIS has no column for: the clip and who judged it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vigil.errors import InputError
from vigil.labels.formats.reading import number, safe, table_of, unsafe, whole, write_table
from vigil.labels.formats.records import Footage, Record

_COLUMNS = [
    "Observation id", "Observation date", "Description", "Observation type", "Source",
    "Time offset (s)", "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject",
    "Observation duration by subject by observation", "Behavior", "Behavioral category",
    "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name",
    "Image index start", "Image index stop", "Image file path start", "Image file path stop",
    "Comment start", "Comment stop",
]  # fmt: skip
_NOBODY = "No focal subject"
_NONE = {"", "NA", "NaN", "nan"}


def write(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write records as aggregated events, with first and last frame; see `Format`."""
    rows = [row for one in records for row in _rows(one, footage)]
    write_table(path, [_COLUMNS, *([safe(cell) for cell in row] for row in rows)])


def _rows(one: Record, footage: Footage) -> Iterator[list[str]]:
    video = one.clip.video_id
    timeline = footage.timeline(video)
    start_s, end_s = one.span_s
    first, after = footage.frames(video, start_s, end_s)
    interval = timeline.frame_interval_s
    rate = f"{1 / interval:.3f}" if interval else "NA"
    told = {"clip_id": one.clip.clip_id, "annotator": one.annotator,
            "whole_clip": one.start_s is None}  # fmt: skip
    duration = repr(timeline.duration_s)
    for who in one.track_ids or (None,):
        yield [
            video, one.labeled_at, "", "Media file(s)", f"player #1:{video}", "0", duration,
            duration, rate, _NOBODY if who is None else str(who), duration, str(one.label), "",
            "STATE", repr(float(start_s)), repr(float(end_s)), repr(float(end_s - start_s)), video,
            str(first), str(max(first, after - 1)), "NA", "NA",
            json.dumps(told, ensure_ascii=False), "",
        ]  # fmt: skip


def read(path: Path, footage: Footage) -> list[Record]:
    """Read aggregated or tabular events; see `Format`.

    Rows of one clip, class and span are one judgment of all their subjects. Where the seconds are
    `NA` the image indices tell them. Subjects that are no numbers name nobody; point events last
    for one frame.
    """
    rows = table_of(path, ("Behavior", "Subject"))
    columns = rows[0][1] if rows else {}
    segments = _paired(rows, footage) if "Time" in columns else _aggregated(rows, footage)
    merged: dict[Record, set[int]] = {}
    for one, people in segments:
        merged.setdefault(one, set()).update(people)
    return [
        Record(**{**vars(one), "track_ids": tuple(sorted(people))})
        for one, people in merged.items()
    ]


_Rows = Sequence[tuple[str, Mapping[str, str]]]
_Segments = Iterator[tuple[Record, tuple[int, ...]]]


def _aggregated(rows: _Rows, footage: Footage) -> _Segments:
    for where, cells in rows:
        row = {name: unsafe(cell) for name, cell in cells.items()}
        yield from _judgments(row, where, footage, *_seconds(row, where, footage))


def _seconds(row: Mapping[str, str], where: str, footage: Footage) -> tuple[float, float]:
    ends = row.get("Start (s)", ""), row.get("Stop (s)", "")
    if not _NONE & set(ends):
        start_s, end_s = (number(text, where) for text in ends)
        return start_s, end_s
    video = footage.video(_media(row, where), where)
    first = whole(row.get("Image index start", ""), where)
    last = whole(row.get("Image index stop", ""), where)
    return footage.seconds(video, first, where), footage.seconds(video, last + 1, where)


def _paired(rows: _Rows, footage: Footage) -> _Segments:
    """Join each START to the STOP of the same subject and behavior that follows it."""
    begun: dict[tuple[str, str, str], tuple[str, float]] = {}
    for where, cells in rows:
        row = {name: unsafe(cell) for name, cell in cells.items()}
        kind, time_s = row.get("Behavior type", "").upper(), number(row["Time"], where)
        key = _media(row, where), row["Subject"], row["Behavior"]
        if kind == "START":
            if key in begun:
                raise InputError(f"{where}: expected a STOP of {key[2]!r} first, got a START")
            begun[key] = where, time_s
        elif kind == "STOP":
            if key not in begun:
                raise InputError(f"{where}: expected a START of {key[2]!r} before its STOP")
            yield from _judgments(row, where, footage, begun.pop(key)[1], time_s)
        else:
            video = footage.video(key[0], where)
            frame_s = footage.timeline(video).frame_interval_s
            yield from _judgments(row, where, footage, time_s, time_s + frame_s)
    for (_, _, behavior), (where, _) in begun.items():
        raise InputError(f"{where}: expected a STOP of {behavior!r}, got none")


def _judgments(
    row: Mapping[str, str], where: str, footage: Footage, start_s: float, end_s: float
) -> _Segments:
    people = (int(row["Subject"]),) if row["Subject"].isdecimal() else ()
    date = row.get("Observation date", "")
    facts: dict[str, Any] = {
        "label": footage.label(row["Behavior"], where),
        "labeled_at": "" if date in _NONE else date,
    }
    told = _told(row.get("Comment start", ""))
    if told is None:
        video = footage.video(_media(row, where), where)
        for one in footage.spread(facts, video, start_s, end_s, where):
            yield one, people
        return
    clip = footage.clip(str(told["clip_id"]), where)
    when: dict[str, Any] = {"start_s": start_s, "end_s": end_s}
    when = {} if told.get("whole_clip") else when
    yield Record(clip=clip, annotator=str(told.get("annotator", "")), **facts, **when), people


def _told(comment: str) -> dict[str, Any] | None:
    """Return what our own comment says; None for anybody else's."""
    try:
        told = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and "clip_id" in told else None


def _media(row: Mapping[str, str], where: str) -> str:
    name = row.get("Media file name", "")
    if name in _NONE:
        name = row.get("Observation id", "")
    if not name:
        raise InputError(f"{where}: expected a media file name, got none")
    return name
