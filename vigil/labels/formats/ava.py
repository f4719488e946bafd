"""AVA's CSV: `video_id,time,x1,y1,x2,y2,action_id,person_id`, a row a person, without a header.

The time is the middle of the clip, boxes are fractions of the frame, actions count from 1. A
judgment that names nobody is one row with the whole frame and person -1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vigil.errors import InputError
from vigil.labels.formats.boxes import boxes_near, whose
from vigil.labels.formats.reading import number, rows_of, whole, write_table
from vigil.labels.formats.records import Footage, Record
from vigil.schema import NOBODY, Clip


def write(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write records; persons who are not tracked in their clip are left out; see `Format`.

    Raises:
        InputError: two clips of a video share their middle, so that the time names neither.
    """
    write_table(path, [row for one in records for row in _rows(one, footage)])


def _rows(one: Record, footage: Footage) -> Iterator[list[str]]:
    clip = one.clip
    middle = _middle(clip)
    if _at(middle, footage.videos[clip.video_id]) is not clip:
        raise InputError(f"{clip.clip_id}: expected the only clip around its middle for AVA")
    tracks = footage.tracks(clip.video_id)
    people = boxes_near(tracks, clip, middle)
    size = np.array([tracks.width, tracks.height] * 2, np.float32)
    boxes = {who: people[who] / size for who in one.track_ids if who in people}
    for who, box in (boxes or {NOBODY: np.array([0, 0, 1, 1])}).items():
        edges = [f"{value:.4f}" for value in np.clip(box, 0, 1)]
        action = str(footage.classes.index(str(one.label)) + 1)
        time = f"{middle:.3f}".rstrip("0").rstrip(".")
        yield [clip.video_id, time, *edges, action, str(who)]


def read(path: Path, footage: Footage) -> list[Record]:
    """Read rows; those of one clip and action become one judgment of it; see `Format`.

    A row speaks of the clip whose middle is nearest to its time among those that hold it, and of
    the tracked person whose box overlaps its own most, by half at least.
    """
    found: dict[tuple[str, str], set[int]] = {}
    for line, row in rows_of(path):
        where = f"{path}: line {line}"
        if len(row) not in {7, 8}:
            raise InputError(f"{where}: expected 7 or 8 columns, got {len(row)}")
        video = footage.video(row[0], where)
        time_s = number(row[1], where)
        clip = _at(time_s, footage.videos[video])
        if clip is None:
            raise InputError(f"{where}: expected a moment of a clip, got {time_s} s of {video}")
        label = footage.label_at(row[6], where, first=1)
        who = _person(row, clip, time_s, footage, where)
        found.setdefault((clip.clip_id, label), set()).update([] if who is None else [who])
    return [
        Record(footage.clips[clip_id], label, track_ids=tuple(sorted(people)))
        for (clip_id, label), people in found.items()
    ]


def _person(
    row: Sequence[str], clip: Clip, time_s: float, footage: Footage, where: str
) -> int | None:
    hint = whole(row[7], where) if len(row) == 8 and row[7] else NOBODY
    box = np.array([number(cell, where) for cell in row[2:6]], np.float32)
    if hint == NOBODY and (box == [0, 0, 1, 1]).all():
        return None
    tracks = footage.tracks(clip.video_id)
    size = np.array([tracks.width, tracks.height] * 2, np.float32)
    return whose(box * size, boxes_near(tracks, clip, time_s), hint)


def _middle(clip: Clip) -> float:
    return round((clip.start_s + clip.end_s) / 2, 3)


def _at(time_s: float, clips: Sequence[Clip]) -> Clip | None:
    """Return the clip around `time_s` whose middle is nearest."""
    around = [clip for clip in clips if clip.start_s <= time_s < clip.end_s]
    return min(around, key=lambda clip: abs(_middle(clip) - time_s), default=None)
