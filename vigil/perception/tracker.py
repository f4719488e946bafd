"""Who is who from frame to frame: ByteTrack (Zhang et al., ECCV 2022), with memory in seconds.

Strong detections are associated first, weak ones only go on with tracks that nothing strong fits,
and, by `rebirth_iou`, find lost people again, which ByteTrack leaves to strong ones.
A lost person is remembered for so many seconds of presentation time, at any frame rate, constant or
not. Needs neither torch nor a detector's package, so that the live service tracks with the very
code that tracked the training footage; a test holds it against ultralytics' own tracker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vigil.config import TrackerSection
from vigil.errors import InputError
from vigil.perception import kalman
from vigil.perception.yolo import Detections

_WEAK_COST: Final = 0.5  # largest association cost of a weak detection
_SECOND_COST: Final = 0.7  # of somebody's second sighting
_SAME_COST: Final = 0.15  # tracks that overlap more are the same person


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


@dataclass(eq=False, slots=True)
class _Track:
    """One identity; `row` is the detection of the last frame that it was seen on."""

    track_id: int
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    row: int
    begun: int
    seen: int
    seen_s: float
    confirmed: bool
    lost: bool = False

    @property
    def xyxy(self) -> NDArray[np.float64]:
        """The motion model's box."""
        x, y, aspect, height = self.mean[:4]
        half = np.array([aspect * height, height]) / 2
        return np.array([x - half[0], y - half[1], x + half[0], y + half[1]])


class PersonTracker:
    """Give detections identities, frame by frame. One tracker follows one video."""

    def __init__(self, config: TrackerSection) -> None:
        """Start with nobody known; see `vigil.config.TrackerSection` for the thresholds."""
        self._config = config
        self._frame = 0
        self._time_s = -np.inf
        self._last_id = 0
        self._tracked: list[_Track] = []
        self._lost: list[_Track] = []

    def update(self, detections: Detections, time_s: float) -> TrackedPersons:
        """Identify the persons of the next frame.

        A person who appears later than the first frame gets an id when seen a second time.

        Args:
            detections: all candidates, low scores included.
            time_s: the frame's presentation time, later than the one before.

        Raises:
            InputError: time does not advance.
        """
        if time_s <= self._time_s:
            raise InputError(f"tracker: expected a time after {self._time_s} s, got {time_s} s")
        self._frame, self._time_s = self._frame + 1, time_s
        self._forget()
        self._associate(detections)
        shown = sorted((t for t in self._tracked if t.confirmed), key=lambda t: t.track_id)
        chosen = np.array([track.row for track in shown], np.int64)
        masks = detections.masks
        return TrackedPersons(
            track_id=np.array([track.track_id for track in shown], np.int32),
            xyxy=detections.xyxy[chosen],
            score=detections.score[chosen],
            masks=None if masks is None else masks[chosen],
        )

    def _associate(self, detections: Detections) -> None:
        """Give every detection to a track, to a new one, or to nobody."""
        boxes, score = _measured(detections.xyxy), detections.score
        solid = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        strong = np.flatnonzero(solid & (score >= self._config.high_threshold)).tolist()
        weak = np.flatnonzero(
            solid & (score > self._config.low_threshold) & (score < self._config.high_threshold)
        ).tolist()
        known = [track for track in self._tracked if track.confirmed]
        once = [track for track in self._tracked if not track.confirmed]
        pool = known + self._lost
        _predict(pool)
        xyxy = detections.xyxy
        pairs, missed, strong = _match(pool, xyxy, strong, self._config.match_threshold)
        lost = [track for track in missed if track.lost]
        missed = [track for track in missed if not track.lost]
        second, missed, weak = _match(missed, xyxy, weak, _WEAK_COST)
        second += self._reborn(lost, xyxy, weak)
        third, dropped, strong = _match(once, xyxy, strong, _SECOND_COST)
        found = [track for track, _ in pairs + second if track.lost]
        for track, row in pairs + second + third:
            self._see(track, row, boxes[row])
        for track in missed:
            track.lost = True
        begun = [
            self._begin(row, boxes[row])
            for row in strong
            if score[row] >= self._config.new_track_threshold
        ]
        kept = [track for track in self._tracked if track not in dropped and not track.lost]
        self._tracked = kept + begun + found
        self._lost = [track for track in self._lost if track.lost] + missed
        self._merge()

    def _reborn(
        self, lost: Sequence[_Track], xyxy: NDArray[np.float32], weak: Sequence[int]
    ) -> list[tuple[_Track, int]]:
        """Pair lost tracks with weak detections near them; ByteTrack asks strong ones.

        Whoever falls is lost for a moment, and then lies there with a low score.
        """
        least = self._config.rebirth_iou
        return _match(lost, xyxy, weak, 1 - least)[0] if least < 1 else []

    def _see(self, track: _Track, row: int, box: NDArray[np.float32]) -> None:
        measured = _shape(box)
        track.mean, track.covariance = kalman.correct(track.mean, track.covariance, measured)
        track.row, track.seen, track.seen_s = row, self._frame, self._time_s
        track.lost, track.confirmed = False, True

    def _begin(self, row: int, box: NDArray[np.float32]) -> _Track:
        self._last_id += 1
        mean, covariance = kalman.begin(_shape(box))
        return _Track(
            self._last_id, mean, covariance, row,
            self._frame, self._frame, self._time_s, confirmed=self._frame == 1,
        )  # fmt: skip

    def _forget(self) -> None:
        """Drop every track, lost or not, that was last seen longer ago than the buffer."""
        least = self._config.buffer_s
        self._tracked = [t for t in self._tracked if self._time_s - t.seen_s <= least]
        self._lost = [t for t in self._lost if self._time_s - t.seen_s <= least]

    def _merge(self) -> None:
        """Where a lost track lies on a living one, keep the one that was followed for longer."""
        if not self._tracked or not self._lost:
            return
        cost = _cost([t.xyxy for t in self._tracked], [t.xyxy for t in self._lost])
        gone: set[int] = set()
        for i, j in np.argwhere(cost < _SAME_COST).tolist():
            living, lost = self._tracked[i], self._lost[j]
            longer = living.seen - living.begun > lost.seen - lost.begun
            gone.add(lost.track_id if longer else living.track_id)
        self._tracked = [track for track in self._tracked if track.track_id not in gone]
        self._lost = [track for track in self._lost if track.track_id not in gone]


def _measured(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, 4) left, top, width and height."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    size = high - low
    return np.concatenate([(low + high) / 2 - size / 2, size], axis=1)


def _shape(box: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return center x, center y, aspect and height of left, top, width and height."""
    center = box[:2] + box[2:] / 2
    return np.array([*center, box[2] / box[3], box[3]], np.float64)


def _predict(tracks: Sequence[_Track]) -> None:
    """Move every track on by a frame; the height of a lost one stays as it is."""
    if not tracks:
        return
    means = np.stack([track.mean for track in tracks])
    means[[track.lost for track in tracks], 7] = 0
    covariances = np.stack([track.covariance for track in tracks])
    for track, mean, covariance in zip(tracks, *kalman.predict(means, covariances), strict=True):
        track.mean, track.covariance = mean, covariance


def _cost(
    first: Sequence[NDArray[Any]] | NDArray[Any], second: Sequence[NDArray[Any]] | NDArray[Any]
) -> NDArray[np.float32]:
    """Return the (N, M) of 1 less the overlap (IoU) of xyxy boxes."""
    a, b = (np.asarray(boxes, np.float32).reshape(-1, 4) for boxes in (first, second))
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=-1) for boxes in (a, b)]
    whole = areas[1] + areas[0][:, None] - shared
    return np.asarray(1 - shared / (whole + np.float32(1e-7)), np.float32)


def _match(
    tracks: Sequence[_Track], xyxy: NDArray[np.float32], rows: Sequence[int], most: float
) -> tuple[list[tuple[_Track, int]], list[_Track], list[int]]:
    """Pair tracks with the detections `rows` at the least total cost, none above `most`.

    Returns:
        The pairs, the tracks without one, and the rows without one.
    """
    if not tracks or not rows:
        return [], list(tracks), list(rows)
    import lap

    cost = _cost([track.xyxy for track in tracks], xyxy[list(rows)])
    _, of_track, of_row = lap.lapjv(cost, extend_cost=True, cost_limit=most)
    pairs = [(tracks[i], rows[j]) for i, j in enumerate(of_track.tolist()) if j >= 0]
    alone = [tracks[i] for i in np.flatnonzero(of_track < 0).tolist()]
    return pairs, alone, [rows[j] for j in np.flatnonzero(of_row < 0).tolist()]
