"""What a careful annotator would say of each window, read from the ground truth of the scenes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.schema import Clip, Label, Timeline, Tracks

ANNOTATOR = "ground_truth"
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
