"""From what a system says at some moments to a score of every frame, and what was true of it.

A system judges a video at moments (every sampled frame, or every window). Each frame takes the last
moment at or before it. Where nobody was there to judge, the last judgment is carried forward and
fades into what the whole frame says, or the whole frame is asked at once; a missing person is never
a score of 0, because people are missed above all when they fall.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.config import FramesSection
from vigil.errors import InputError
from vigil.schema import CARRIED, FALLBACK, JUDGED, Clip, Event, FrameScores, Timeline

SOURCES = {JUDGED: "judged", CARRIED: "carried", FALLBACK: "whole_frame"}
_SAME_TIME_S = 1e-6


@dataclass(frozen=True, eq=False)
class Moments:
    """What a system says of one video, at M moments.

    Attributes:
        time_s: (M,) float64 seconds, rising.
        judged: (M, C) float32 class probabilities, rows of NaN where nobody was there.
        fallback: (M, C) float32 class probabilities of what stands in: the whole frame, or for a
            system that has no view of it, the shares of the classes in training.
    """

    time_s: NDArray[np.float64]
    judged: NDArray[np.float32]
    fallback: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FrameTruth:
    """What is true of every frame of one video.

    Attributes:
        video_id: the video.
        active: (F, C) bool: the classes that are happening; the normal one where no other is.
        known: (F,) bool: frames whose truth is known; the others are left out.
        events: what happens when, without the normal class.
        seconds: length of what is known.
    """

    video_id: str
    active: NDArray[np.bool_]
    known: NDArray[np.bool_]
    events: tuple[Event, ...]
    seconds: float


def most_eventful(
    frame: NDArray[np.int32],
    probabilities: NDArray[np.float32],
    frames: NDArray[np.int32],
    normal: int,
) -> NDArray[np.float32]:
    """Return what is said of the person least likely to be normal, at each of some frames.

    Args:
        frame: (N,) frame of each judged person.
        probabilities: (N, C).
        frames: (M,) distinct frames, rising.
        normal: index of the class that is not an event.

    Returns:
        (M, C) float32, rows of NaN where nobody was judged.
    """
    found = np.full((len(frames), probabilities.shape[1]), np.nan, np.float32)
    order = np.lexsort((probabilities[:, normal], frame))
    present, first = np.unique(frame[order], return_index=True)
    inside = np.isin(present, frames)
    rows = order[first[inside]]
    found[np.searchsorted(frames, present[inside])] = probabilities[rows]
    return found


def spread(
    timeline: Timeline,
    moments: Moments,
    system: str,
    classes: Sequence[str],
    normal: int,
    params: FramesSection,
) -> FrameScores:
    """Give every frame of a video a score; see the module.

    Args:
        timeline: its F frames.
        moments: what the system said.
        system: its name.
        classes: C class names in label order.
        normal: index of the class that is not an event.
        params: what to do where nobody was judged.

    Raises:
        InputError: no moment at all.
    """
    if not len(moments.time_s):
        raise InputError(f"frames: {timeline.video_id}: {system}: expected moments, got none")
    at = np.searchsorted(moments.time_s, timeline.time_s + _SAME_TIME_S, side="right") - 1
    at = np.maximum(at, 0)
    there = np.isfinite(moments.judged).all(axis=1)
    latest = np.maximum.accumulate(np.where(there, np.arange(len(there)), -1))[at]
    own, fallback = there[at], moments.fallback[at]
    carried = ~own & (latest >= 0) & (params.without_track == "carry")
    age = np.maximum(timeline.time_s - moments.time_s[latest], 0.0)
    share = np.where(own, 1.0, np.where(carried, 0.5 ** (age / params.half_life_s), 0.0))[:, None]
    last = np.where((own | carried)[:, None], moments.judged[latest], 0.0)
    probabilities = (share * last + (1.0 - share) * fallback).astype(np.float32)
    return FrameScores(
        timeline.video_id,
        timeline.width,
        timeline.height,
        system=system,
        classes=tuple(classes),
        frame=np.arange(len(timeline), dtype=np.int32),
        time_s=timeline.time_s,
        score=np.clip(1.0 - probabilities[:, normal], 0.0, 1.0).astype(np.float32),
        probabilities=probabilities,
        source=np.where(own, JUDGED, np.where(carried, CARRIED, FALLBACK)).astype(np.int8),
    )


def truth_of_events(
    timeline: Timeline,
    events: Sequence[Event],
    classes: Sequence[str],
    normal: int,
    known: NDArray[np.bool_] | None = None,
) -> FrameTruth:
    """Say what is true of every frame of a video.

    Args:
        timeline: its F frames.
        events: of any videos; a frame is in one where start_s <= its time < end_s.
        classes: class names in label order.
        normal: index of the class that is not an event.
        known: (F,) frames whose truth is known; None: all.
    """
    own = tuple(
        event for event in events
        if event.video_id == timeline.video_id and event.label != classes[normal]
    )  # fmt: skip
    active = np.zeros((len(timeline), len(classes)), np.bool_)
    for event in own:
        inside = (timeline.time_s >= event.start_s) & (timeline.time_s < event.end_s)
        active[inside, list(classes).index(event.label)] = True
    active[:, normal] = ~active.any(axis=1)
    known = np.ones(len(timeline), np.bool_) if known is None else known
    ends = np.append(timeline.time_s[1:], timeline.duration_s)
    return FrameTruth(
        timeline.video_id, active, known, own, float((ends - timeline.time_s)[known].sum())
    )


def truth_of_labels(
    timeline: Timeline,
    clips: Sequence[Clip],
    settled: Mapping[str, int],
    classes: Sequence[str],
    normal: int,
) -> FrameTruth:
    """Say what is true of a video's frames where only windows are labeled.

    Windows of one event class that overlap or touch are one event; frames in no labeled window are
    not known.

    Args:
        timeline: the video's F frames.
        clips: windows of any videos.
        settled: class index by clip id.
        classes: class names in label order.
        normal: index of the class that is not an event.
    """
    known = np.zeros(len(timeline), np.bool_)
    spans: dict[int, list[list[float]]] = defaultdict(list)
    for clip in sorted(clips, key=lambda one: one.start_s):
        if clip.video_id != timeline.video_id or clip.clip_id not in settled:
            continue
        known[clip.start_frame : clip.end_frame] = True
        own = spans[settled[clip.clip_id]]
        if own and clip.start_s <= own[-1][1] + _SAME_TIME_S:
            own[-1][1] = max(own[-1][1], clip.end_s)
        else:
            own.append([clip.start_s, clip.end_s])
    events = [
        Event(timeline.video_id, classes[label], start, end)
        for label, own in spans.items()
        for start, end in own
    ]
    return truth_of_events(timeline, events, classes, normal, known)
