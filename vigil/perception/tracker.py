"""Who is who from frame to frame: ByteTrack (Zhang et al., ECCV 2022), with memory in seconds.

The association is ultralytics' own `BYTETracker`. It counts frames; this module makes it forget
by presentation time instead, so that a lost person is remembered equally long at any frame rate,
constant or not.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import TrackerSection
from vigil.errors import InputError
from vigil.perception.yolo import Detections
from vigil.perception.yolo_network import configure


@dataclass(frozen=True, slots=True)
class TrackedPersons:
    """The identified persons of one frame, by rising track id.

    Attributes:
        track_id: (N,) int32, from 1, unique within the frame.
        xyxy: (N, 4) float32 pixels, the detector's own boxes and not the motion model's.
        score: (N,) float32 in [0, 1].
        masks: (N, H, W) bool, an instance segmenter's own masks, or None.
    """

    track_id: NDArray[np.int32]
    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    masks: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.track_id)


class PersonTracker:
    """Give detections identities, frame by frame. One tracker follows one video."""

    def __init__(self, config: TrackerSection) -> None:
        """Start with nobody known; see `vigil.config.TrackerSection` for the thresholds."""
        configure()
        from ultralytics.trackers.byte_tracker import BYTETracker

        self._buffer_s = config.buffer_s
        self._times: dict[int, float] = {}
        self._tracker: Any = BYTETracker(
            SimpleNamespace(
                track_high_thresh=config.high_threshold,
                track_low_thresh=config.low_threshold,
                new_track_thresh=config.new_track_threshold,
                track_buffer=sys.maxsize,  # forgetting is `_forget`'s
                match_thresh=config.match_threshold,
                fuse_score=False,  # fused, a person scored 0.25 needs an IoU of 0.8 to go on
            )
        )

    def update(self, detections: Detections, time_s: float) -> TrackedPersons:
        """Identify the persons of the next frame.

        A person who appears later than the first frame gets an id when seen a second time.

        Args:
            detections: all candidates, low scores included.
            time_s: the frame's presentation time, later than the one before.

        Raises:
            InputError: time does not advance.
        """
        last = self._times.get(self._tracker.frame_id)
        if last is not None and time_s <= last:
            raise InputError(f"tracker: expected a time after {last} s, got {time_s} s")
        self._forget(time_s)
        self._times[self._tracker.frame_id + 1] = time_s
        rows = self._tracker.update(_Boxes.of(detections)).reshape(-1, 8)
        rows = rows[np.argsort(rows[:, 4])]
        chosen = rows[:, 7].astype(np.int64)
        masks = detections.masks
        return TrackedPersons(
            track_id=rows[:, 4].astype(np.int32),
            xyxy=detections.xyxy[chosen],
            score=detections.score[chosen],
            masks=None if masks is None else masks[chosen],
        )

    def _forget(self, time_s: float) -> None:
        """Drop every track, lost or not, that was last seen longer ago than the buffer."""
        tracker = self._tracker
        for frame in list(self._times):
            if time_s - self._times[frame] <= self._buffer_s:
                break
            del self._times[frame]
        for pool in ("tracked_stracks", "lost_stracks"):
            kept = [track for track in getattr(tracker, pool) if track.end_frame in self._times]
            setattr(tracker, pool, kept)


@dataclass(frozen=True, slots=True)
class _Boxes:
    """What `BYTETracker` asks of ultralytics' result class, and no more."""

    xywh: NDArray[np.float32]
    conf: NDArray[np.float32]
    cls: NDArray[np.int32]

    @classmethod
    def of(cls, detections: Detections) -> _Boxes:
        low, high = detections.xyxy[:, :2], detections.xyxy[:, 2:]
        xywh = np.concatenate([(low + high) / 2, high - low], axis=1)
        return cls(xywh, detections.score, detections.class_id)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: NDArray[np.bool_]) -> _Boxes:
        return _Boxes(self.xywh[rows], self.conf[rows], self.cls[rows])
