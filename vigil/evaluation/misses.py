"""Whom the detector and the tracker missed, where the true boxes are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vigil.evaluation.metrics import wilson
from vigil.perception.skeletons import match
from vigil.schema import Event, Tracks


@dataclass
class Misses:
    """Counts over one or many videos.

    Attributes:
        seen: visible persons, summed over frames.
        missed: of them, those without a box.
        involved: visible persons in an event, summed over its frames, by class.
        involved_missed: of them, those without a box.
        frames: frames of events on which somebody involved is visible, by class.
        blind: of them, those on which nobody involved has a box.
        persons: different persons.
        switches: times that a found person had another track than when last found.
        extra: boxes that are nobody.
        boxes: all boxes.
    """

    seen: int = 0
    missed: int = 0
    involved: Counter[str] = field(default_factory=Counter)
    involved_missed: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    blind: Counter[str] = field(default_factory=Counter)
    persons: int = 0
    switches: int = 0
    extra: int = 0
    boxes: int = 0


def count_misses(true: Tracks, tracks: Tracks, events: Sequence[Event], least_iou: float) -> Misses:
    """Compare a video's tracks with its true boxes.

    Args:
        true: visible persons; their ids are those of the events.
        tracks: what the detector and the tracker made of the video.
        events: of this video, without the normal class; `track_ids` name true persons.
        least_iou: a box that overlaps a person less is not that person's.
    """
    found = Misses(persons=len(np.unique(true.track_id)), boxes=len(tracks))
    followed: dict[int, int] = {}
    frames = np.union1d(true.frame, tracks.frame)
    for frame in frames.tolist():
        here, there = (np.flatnonzero(table.frame == frame) for table in (true, tracks))
        pairs = match(true.xyxy[here], tracks.xyxy[there], least_iou)
        owner = {int(true.track_id[here[a]]): int(tracks.track_id[there[b]]) for a, b in pairs}
        found.switches += sum(followed.get(who, track) != track for who, track in owner.items())
        followed |= owner
        found.seen += len(here)
        found.missed += len(here) - len(pairs)
        found.extra += len(there) - len(pairs)
        if len(here):
            visible = set(true.track_id[here].tolist())
            _count_events(found, events, float(true.time_s[here[0]]), visible, set(owner))
    return found


def _count_events(
    found: Misses, events: Sequence[Event], time_s: float, visible: set[int], owned: set[int]
) -> None:
    for event in events:
        involved = visible & set(event.track_ids)
        if involved and event.start_s <= time_s < event.end_s:
            found.involved[event.label] += len(involved)
            found.involved_missed[event.label] += len(involved - owned)
            found.frames[event.label] += 1
            found.blind[event.label] += not involved & owned


def summarize(parts: Iterable[Misses]) -> dict[str, Any]:
    """Add up videos and return counts and shares, ready for JSON.

    Returns:
        `persons`, `switches`, `boxes`, `extra_boxes`, and shares with Wilson's interval (which
        takes frames as independent): `missed` over persons and frames, and by event class
        `missed_in_<class>` over involved persons and `blind_in_<class>` over event frames.
    """
    total = Misses()
    for part in parts:
        for name, value in vars(part).items():
            setattr(total, name, getattr(total, name) + value)
    report: dict[str, Any] = {
        "persons": total.persons,
        "switches": total.switches,
        "boxes": total.boxes,
        "extra_boxes": total.extra,
        "missed": _share(total.missed, total.seen),
    }
    for label in sorted(total.involved):
        report[f"missed_in_{label}"] = _share(total.involved_missed[label], total.involved[label])
        report[f"blind_in_{label}"] = _share(total.blind[label], total.frames[label])
    return report


def _share(part: int, whole: int) -> dict[str, Any]:
    low, high = wilson(part, whole)
    value = part / whole if whole else 0.0
    return {"value": value, "low": low, "high": high, "n": whole, "interval": "wilson"}
