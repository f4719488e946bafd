"""Cut videos into fixed-length windows by time, not by frame count.

A window starts every `stride_s` seconds and lasts `length_s`; its frame range follows from the
presentation times, so variable frame rate shifts frame numbers and never seconds.
"""

from __future__ import annotations

import numpy as np

from vigil.config import ClipsSection
from vigil.errors import InputError
from vigil.schema import Clip, Timeline, Tracks, clip_id

_ROUNDING_S = 1e-6  # times are sums of floats: a frame at 3.9999999 s belongs to second 4


def propose_clips(
    timeline: Timeline, tracks: Tracks, config: ClipsSection, first: int = 0
) -> list[Clip]:
    """Return the windows of one video, in order of time.

    The last window may be a tail: shorter than `length_s`, but at least `min_length_s`, and only
    where the full windows have not reached the end. A video that lacks less than one frame of
    a full window counts as having it. Windows in which no frame is shown are left out.

    Args:
        timeline: the video's decoded frames.
        tracks: its persons, to count who is seen in each window.
        config: length, stride and least length in seconds.
        first: windows before this one, counted from 0, are not asked for.

    Raises:
        InputError: timeline and tracks belong to different videos, or tracks name a frame that
            the timeline lacks.
    """
    _check_same_video(timeline, tracks)
    slack = timeline.frame_interval_s + _ROUNDING_S
    duration = timeline.duration_s
    clips: list[Clip] = []
    for number in range(first, int(duration / config.stride_s) + 1):
        start = number * config.stride_s
        whole = start + config.length_s <= duration + slack
        end = start + config.length_s if whole else duration
        if end - start < min(config.min_length_s, config.length_s) - slack:
            break
        clip = _window(timeline, tracks, start, end)
        if clip.end_frame > clip.start_frame:
            clips.append(clip)
        if end >= duration - slack:
            break
    return clips


def _window(timeline: Timeline, tracks: Tracks, start: float, end: float) -> Clip:
    bounds = np.searchsorted(timeline.time_s, [start - _ROUNDING_S, end - _ROUNDING_S])
    first, after = int(bounds[0]), int(bounds[1])
    inside = (tracks.frame >= first) & (tracks.frame < after)
    return Clip(
        clip_id=clip_id(timeline.video_id, start, end),
        video_id=timeline.video_id,
        start_s=start,
        end_s=end,
        start_frame=first,
        end_frame=after,
        n_persons=len(np.unique(tracks.track_id[inside])),
    )


def _check_same_video(timeline: Timeline, tracks: Tracks) -> None:
    if timeline.video_id != tracks.video_id:
        raise InputError(
            f"clips: {timeline.video_id}: expected its own tracks, got those of {tracks.video_id}"
        )
    last = int(tracks.frame.max()) if len(tracks) else -1
    if last >= len(timeline):
        raise InputError(
            f"clips: {timeline.video_id}: expected tracks within {len(timeline)} frames, "
            f"got frame {last}"
        )
