"""ByteTrack identities: kept through misses and crossings, forgotten by seconds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from vigil.config import TrackerSection
from vigil.errors import InputError
from vigil.perception.tracker import PersonTracker, TrackedPersons
from vigil.perception.yolo import Detections

SETTINGS = TrackerSection(
    high_threshold=0.4,
    low_threshold=0.1,
    new_track_threshold=0.5,
    buffer_s=1.0,
    match_threshold=0.8,
)


def detections(*rows: tuple[float, float, float], masks: bool = False) -> Detections:
    """Persons of 40x80 pixels from (left, top, score)."""
    table = np.asarray(rows, dtype=np.float32).reshape(-1, 3)
    xyxy = np.concatenate([table[:, :2], table[:, :2] + [40, 80]], axis=1).astype(np.float32)
    classes = np.zeros(len(table), dtype=np.int32)
    side = max(4, len(table))
    own = np.zeros((len(table), side, side), dtype=np.bool_)
    for i in range(len(table)):
        own[i, i] = True
    return Detections(xyxy, table[:, 2], classes, own if masks else None)


def ids(tracked: TrackedPersons) -> list[int]:
    return tracked.track_id.tolist()


def test_two_people_who_cross_keep_their_ids():
    tracker = PersonTracker(SETTINGS)
    for i in range(40):
        tracked = tracker.update(detections((10 + 8 * i, 50, 0.9), (330 - 8 * i, 80, 0.9)), i / 12)
        assert len(tracked) == 2
    first = tracked.xyxy[tracked.track_id == 1][0]
    assert first[0] == 10 + 8 * 39, "the person who walked right is still number 1"


def test_boxes_are_the_detectors_own_to_the_pixel():
    tracker = PersonTracker(SETTINGS)
    rng = np.random.default_rng(0)
    for i in range(20):
        found = detections((50 + 3 * i + rng.uniform(-2, 2), 40, 0.8), (300, 60, 0.7))
        tracked = tracker.update(found, i / 12)
        assert sorted(tracked.xyxy[:, 0]) == sorted(found.xyxy[:, 0])


def test_masks_stay_with_their_persons_when_detections_change_order():
    tracker = PersonTracker(SETTINGS)
    tracker.update(detections((10, 50, 0.9), (300, 50, 0.8), masks=True), 0.0)
    swapped = tracker.update(detections((300, 50, 0.9), (10, 50, 0.8), masks=True), 0.1)
    assert swapped.masks is not None
    left = int(np.flatnonzero(swapped.xyxy[:, 0] == 10)[0])
    assert swapped.track_id[left] == 1
    assert swapped.masks[left, 1].all(), "row 1 marks the second detection"


def test_a_weak_detection_continues_a_track_but_never_begins_one():
    tracker = PersonTracker(SETTINGS)
    tracker.update(detections((10, 50, 0.9)), 0.0)
    weak = tracker.update(detections((12, 50, 0.2), (300, 50, 0.2)), 0.1)
    assert ids(weak) == [1]


@pytest.mark.parametrize(
    ("rebirth_iou", "left", "expected"), [(0.3, 104, [1]), (0.3, 190, []), (1.0, 100, [])]
)
def test_a_weak_detection_finds_a_lost_person_only_where_it_was_lost_and_if_asked(
    rebirth_iou: float, left: float, expected: list[int]
):
    tracker = PersonTracker(SETTINGS.model_copy(update={"rebirth_iou": rebirth_iou}))
    for time_s in (0.0, 0.1, 0.2):
        tracker.update(detections((100, 50, 0.9)), time_s)
    for time_s in (0.3, 0.4, 0.5):
        assert ids(tracker.update(detections(), time_s)) == []
    assert ids(tracker.update(detections((left, 50, 0.2)), 0.6)) == expected


@pytest.mark.parametrize("fps", [5, 12, 60])
def test_memory_lasts_seconds_at_any_frame_rate(fps: int):
    for gap_s, expected in ((0.8, [1]), (1.4, [2])):
        tracker = PersonTracker(SETTINGS)
        times = np.arange(0, 4 + gap_s, 1 / fps)
        for time_s in times:
            hidden = 1 <= time_s < 1 + gap_s
            rows = [] if hidden else [(100.0, 50.0, 0.9)]
            tracked = tracker.update(detections(*rows), float(time_s))
        assert ids(tracked) == expected, f"gap of {gap_s} s at {fps} fps"


def test_a_hole_in_the_footage_longer_than_the_memory_ends_every_track():
    tracker = PersonTracker(SETTINGS)
    for time_s in (0.0, 0.1, 0.2):
        tracker.update(detections((100, 50, 0.9)), time_s)
    tracker.update(detections((100, 50, 0.9)), 9.0)
    assert ids(tracker.update(detections((100, 50, 0.9)), 9.1)) == [2]


def test_each_video_numbers_its_people_from_one():
    for _ in range(2):
        tracker = PersonTracker(SETTINGS)
        assert ids(tracker.update(detections((10, 50, 0.9), (300, 50, 0.9)), 0.0)) == [1, 2]


def test_frames_without_anybody_are_empty():
    tracker = PersonTracker(SETTINGS)
    tracked = tracker.update(detections(), 0.0)
    assert len(tracked) == 0
    assert tracked.xyxy.shape == (0, 4)


def test_a_box_without_area_is_no_person():
    tracker = PersonTracker(SETTINGS)
    flat = Detections(
        np.float32([[5, 5, 5, 90]]), np.float32([0.9]), np.zeros(1, dtype=np.int32), None
    )
    assert len(tracker.update(flat, 0.0)) == 0


def test_time_that_stands_still_is_refused():
    tracker = PersonTracker(SETTINGS)
    tracker.update(detections(), 1.0)
    with pytest.raises(InputError, match=r"expected a time after 1\.0 s, got 1\.0 s"):
        tracker.update(detections(), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_identities_are_those_of_ultralytics_own_tracker(seed: int):
    rng = np.random.default_rng(seed)
    ours, theirs = PersonTracker(SETTINGS), UltralyticsTracker(SETTINGS)
    place, step = rng.uniform(0, 500, (6, 2)), rng.normal(0, 6, (6, 2))
    for frame in range(60):
        place += step
        seen = rng.random(6) > 0.15
        rows = np.column_stack([place + rng.normal(0, 2, (6, 2)), rng.uniform(0.05, 1, 6)])[seen]
        found = detections(*rows[np.argsort(-rows[:, 2])].tolist())
        tracked = ours.update(found, frame / 12)
        assert ids(tracked) == theirs.update(found), f"frame {frame}"


class UltralyticsTracker:
    """ultralytics' ByteTrack with the same thresholds; its memory is in frames, at 12 a second."""

    def __init__(self, config: TrackerSection) -> None:
        from vigil.perception.yolo_network import configure

        configure()
        from ultralytics.trackers.byte_tracker import BYTETracker

        self.tracker = BYTETracker(
            SimpleNamespace(
                track_high_thresh=config.high_threshold,
                track_low_thresh=config.low_threshold,
                new_track_thresh=config.new_track_threshold,
                track_buffer=round(12 * config.buffer_s),
                match_thresh=config.match_threshold,
                fuse_score=False,
            )
        )

    def update(self, found: Detections) -> list[int]:
        from ultralytics.engine.results import Boxes

        rows = np.column_stack([found.xyxy, found.score, found.class_id])
        boxes = Boxes(rows.astype(np.float32), orig_shape=(1000, 1000))
        return sorted(self.tracker.update(boxes).reshape(-1, 8)[:, 4].astype(int).tolist())
