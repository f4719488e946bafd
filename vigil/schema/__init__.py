"""Every file format that passes between stages: columns, dtypes, units; atomic write, checked read.

Coordinates are pixels of the original frame, xyxy, float32. Frames are 0-based int32 and carry
their presentation time in seconds (float64). An absent person is an absent row, a missing joint
is NaN with score 0. Each Parquet file holds its schema version, video id and units in its
metadata. Writers write to a temporary name and rename.
"""

from __future__ import annotations

from vigil.files import atomic, read_csv, write_json, write_text
from vigil.schema.clips import (
    Clip,
    Label,
    Suggestion,
    by_video,
    clip_id,
    read_clips,
    read_groups,
    read_labels,
    read_suggestions,
    write_clips,
    write_groups,
    write_labels,
    write_suggestions,
)
from vigil.schema.events import Event, read_events, write_events
from vigil.schema.frames import (
    CARRIED,
    FALLBACK,
    JOINTS,
    JUDGED,
    NOBODY,
    Embeddings,
    FrameScores,
    Masks,
    Skeletons,
    Timeline,
    Tracks,
)
from vigil.tables import VERSION, Table

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
    "by_video",
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
