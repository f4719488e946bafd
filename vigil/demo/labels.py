"""What a careful annotator would say of windows and events, read from the scenes' ground truth."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.schema import Clip, Event, Label, Timeline, Tracks

ANNOTATOR = "ground_truth"
_POINT_S = 1.0  # between two points that show where an involved person is
_CLEARLY_S = 1.0  # an event seen for less is ambiguous: nobody labels such a window


def read_truth(path: Path) -> dict[str, Any]:
    """Read one video's ground truth, see `vigil.demo.footage`."""
    loaded: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return loaded


def label_windows(truth: dict[str, Any], config: ClipsSection, normal_class: str) -> list[Label]:
    """Label the windows that the `clips` stage will propose for this video.

    A window that shows at least a second of an event (or all of a shorter one) is that event's, a
    window that shows none is normal, and what lies between is left unlabeled.

    Args:
        truth: ground truth of one video.
        config: window length and stride.
        normal_class: the class of windows without an event.
    """
    times = np.arange(truth["n_frames"], dtype=np.float64) / truth["fps"]
    head = (truth["video_id"], truth["width"], truth["height"])
    none = np.zeros(0, np.int32)
    nobody = Tracks(*head, none, np.zeros(0), none, np.zeros((0, 4), np.float32),
                    np.zeros(0, np.float32))  # fmt: skip
    events = [event for event in truth["events"] if event["label"] != normal_class]
    labels = []
    for clip in propose_clips(Timeline(*head, times), nobody, config):
        name = _name(clip, events, normal_class)
        if name is not None:
            labels.append(Label(clip.clip_id, name, ANNOTATOR, ""))
    return labels


def video_events(truth: dict[str, Any], normal_class: str) -> list[Event]:
    """Return what happens in a video, with points on the people involved once a second.

    The tracker numbers people as it likes, so its ids are not known here; points are.

    Args:
        truth: ground truth of one video.
        normal_class: the class of events that are none.
    """
    return [
        Event(truth["video_id"], str(event["label"]), event["start_s"], event["end_s"],
              points=_points(truth, event))
        for event in truth["events"]
        if event["label"] != normal_class
    ]  # fmt: skip


def _points(truth: dict[str, Any], event: dict[str, Any]) -> tuple[tuple[float, float, float], ...]:
    """Return (seconds, x, y) of the centers of the involved people's boxes where they are seen."""
    times = np.arange(event["start_s"], event["end_s"], _POINT_S)
    frames = set(np.unique(np.round(times * truth["fps"]).astype(int)).tolist())
    persons = truth["persons"]
    points = []
    for frame, who, box in zip(persons["frame"], persons["track_id"], persons["xyxy"], strict=True):
        if frame in frames and who in event["person_ids"]:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            points.append((round(frame / truth["fps"], 3), round(x, 1), round(y, 1)))
    return tuple(points)


def _name(clip: Clip, events: Sequence[dict[str, Any]], normal_class: str) -> str | None:
    """Return the window's class, or None where a careful annotator would not decide."""
    seen = [(_overlap(clip, event), event) for event in events]
    overlap, event = max(seen, key=lambda pair: pair[0], default=(0.0, None))
    if event is None or overlap <= 0:
        return normal_class
    enough = min(_CLEARLY_S, event["end_s"] - event["start_s"])
    return str(event["label"]) if overlap >= enough else None


def _overlap(clip: Clip, event: dict[str, Any]) -> float:
    return float(min(clip.end_s, event["end_s"]) - max(clip.start_s, event["start_s"]))
