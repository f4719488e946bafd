"""Footage for the formats: two videos, one of variable frame rate, with tracked persons."""

from __future__ import annotations

import numpy as np

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.labels.formats.records import Footage
from vigil.schema import Timeline, Tracks

CLASSES = ("normal", "as,sault", "=cmd|' /C'!A0", '"><script>', "실신 🤕", "'=quoted")
VIDEOS = ("cam 1=로비", "gate;2,%41.v2")
PEOPLE = (1, 2, 7)


def timeline(video: str) -> Timeline:
    """Return 10 s of frames: 12.5 a second, or alternately 25 and 8.3 a second."""
    steps = np.full(125, 0.08) if video == VIDEOS[0] else np.tile([0.04, 0.12], 62)
    return Timeline(video, 640, 360, np.cumsum(steps) - steps[0])


def tracks(video: str) -> Tracks:
    """Return three persons, of whom the last leaves after 5 s."""
    time_s = timeline(video).time_s
    rows = [
        (frame, who) for frame in range(len(time_s)) for who in PEOPLE
        if who != PEOPLE[-1] or time_s[frame] < 5
    ]  # fmt: skip
    frame, who = np.array(rows, np.int32).T
    left = (80.0 * who + frame).astype(np.float32)
    box = np.stack([left, np.full_like(left, 60), left + 40, np.full_like(left, 220)], axis=1)
    return Tracks(video, 640, 360, frame=frame, time_s=time_s[frame], track_id=who, xyxy=box,
                  score=np.ones(len(frame), np.float32))  # fmt: skip


def footage(classes: tuple[str, ...] = CLASSES) -> Footage:
    """Return windows of 4 s, one each second."""
    cut = ClipsSection(length_s=4.0, stride_s=1.0, min_length_s=4.0)
    clips = [clip for v in VIDEOS for clip in propose_clips(timeline(v), tracks(v), cut)]
    return Footage(clips, classes, timeline, tracks)
