"""ActivityNet's JSON: segments in seconds with class names, by video.

Our own files carry the clip, the annotator, the time and the persons beside each segment, in keys
that other readers pass over; segments without them go to the clips they cover.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from vigil.config import one_line
from vigil.errors import InputError
from vigil.files import write_json
from vigil.labels.formats.reading import text_of
from vigil.labels.formats.records import Footage, Record

_VERSION = "VERSION 1.3"


class _Annotation(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)
    segment: tuple[float, float]
    label: str
    clip_id: str | None = None
    annotator: str = ""
    labeled_at: str = ""
    track_ids: tuple[int, ...] = ()
    whole_clip: bool = False


class _Video(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    annotations: list[_Annotation]


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    database: dict[str, _Video]


def write(path: Path, records: Sequence[Record], footage: Footage) -> None:
    """Write records as an ActivityNet database; see `Format`."""
    database: dict[str, Any] = {}
    for one in records:
        video = one.clip.video_id
        entry = database.setdefault(
            video,
            {"duration": footage.timeline(video).duration_s, "subset": "training", "url": "",
             "resolution": f"{footage.timeline(video).width}x{footage.timeline(video).height}",
             "annotations": []},
        )  # fmt: skip
        entry["annotations"].append(
            {"segment": list(one.span_s), "label": one.label, "clip_id": one.clip.clip_id,
             "annotator": one.annotator, "labeled_at": one.labeled_at,
             "track_ids": list(one.track_ids), "whole_clip": one.start_s is None}
        )  # fmt: skip
    taxonomy = [
        {"nodeId": 0, "nodeName": "Root", "parentId": None, "parentName": None},
        *(
            {"nodeId": place, "nodeName": name, "parentId": 0, "parentName": "Root"}
            for place, name in enumerate(footage.classes, start=1)
        ),
    ]
    write_json(path, {"version": _VERSION, "taxonomy": taxonomy, "database": database})


def read(path: Path, footage: Footage) -> list[Record]:
    """Read a database; see `Format`."""
    found = []
    for name, video in _load(path).items():
        for place, one in enumerate(video.annotations):
            where = f"{path}: {name}: annotation {place}"
            found += _records(name, one, footage, where)
    return found


def _load(path: Path) -> Mapping[str, _Video]:
    text = text_of(path)
    try:
        return _File.model_validate_json(text).database
    except ValidationError as error:
        raise InputError(f"{path}: {_line(text)}{one_line(error)[:500]}") from error


def _line(text: str) -> str:
    """Say where `text` stops being JSON, if it does."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: "
    except RecursionError:
        return "too deep: "
    return ""


def _records(name: str, one: _Annotation, footage: Footage, where: str) -> list[Record]:
    facts = {
        "label": footage.label(one.label, where),
        "annotator": one.annotator,
        "labeled_at": one.labeled_at,
        "track_ids": tuple(sorted(set(one.track_ids))),
    }
    if one.clip_id is None:
        return footage.spread(facts, footage.video(name, where), *one.segment, where)
    when = {} if one.whole_clip else dict(zip(("start_s", "end_s"), one.segment, strict=True))
    return [Record(clip=footage.clip(one.clip_id, where), **facts, **when)]  # type: ignore[arg-type]
