"""Who is involved in what happens: events of a video joined to its tracks.

Knows: ids and points of an events file. Does not know: models or windows.
"""

from __future__ import annotations

import numpy as np

from vigil.schema import Event, Tracks

_NEAR_S = 0.5  # a point speaks of the tracked frame nearest in time, if that is so near


def involved(event: Event, tracks: Tracks) -> frozenset[int]:
    """Return the ids of the tracks that an event names, by id or by a point in their box.

    Where a point lies in several boxes it speaks of the one whose center is nearest, in units of
    the box. An id that `tracks` does not have is left out. Empty means: nobody knows.

    Args:
        event: what happens.
        tracks: of the same video.
    """
    found = set(event.track_ids) & set(tracks.track_id.tolist())
    for time_s, x, y in event.points:
        who = _at(tracks, time_s, x, y)
        if who is not None:
            found.add(who)
    return frozenset(found)


def _at(tracks: Tracks, time_s: float, x: float, y: float) -> int | None:
    """Return whose box holds the pixel (x, y) at the tracked moment nearest to `time_s`."""
    if not len(tracks):
        return None
    gaps = np.abs(tracks.time_s - time_s)
    if gaps.min() > _NEAR_S:
        return None
    rows = np.flatnonzero(tracks.time_s == tracks.time_s[gaps.argmin()])
    low, high = tracks.xyxy[rows, :2], tracks.xyxy[rows, 2:]
    away = np.abs(np.array([x, y]) - (low + high) / 2) / np.maximum((high - low) / 2, 1e-6)
    far = away.max(axis=1)  # 1 on the border of the box
    best = int(far.argmin())
    return int(tracks.track_id[rows[best]]) if far[best] <= 1 else None
