"""Missed, mixed-up and invented people are counted where the true boxes are known."""

from __future__ import annotations

import numpy as np

from vigil.evaluation.misses import count_misses, summarize
from vigil.schema import Event, Tracks

Rows = list[tuple[int, int, float]]
EVENT = Event("v", "faint", 0.2, 0.5, (1,))


def tracks(rows: Rows) -> Tracks:
    """Return boxes of 10 by 20 pixels from (frame, id, left edge), ten frames a second."""
    rows = sorted(rows)
    left = np.array([row[2] for row in rows], np.float32)
    zero = np.zeros_like(left)
    frame = np.array([row[0] for row in rows], np.int32)
    return Tracks(
        "v", 640, 360, frame, frame / 10, np.array([row[1] for row in rows], np.int32),
        np.stack([left, zero, left + 10, zero + 20], axis=1).reshape(-1, 4), zero + 1,
    )  # fmt: skip


def people(frames: int = 6) -> Rows:
    return [(f, 1, 100.0) for f in range(frames)] + [(f, 2, 300.0) for f in range(frames)]


def test_a_perfect_tracker_misses_nobody() -> None:
    found = summarize([count_misses(tracks(people()), tracks(people()), [EVENT], 0.5)])
    assert (found["persons"], found["switches"], found["extra_boxes"]) == (2, 0, 0)
    assert (found["missed"]["value"], found["missed"]["n"]) == (0, 12)
    assert (found["missed_in_faint"]["value"], found["missed_in_faint"]["n"]) == (0, 3)


def test_who_falls_and_is_lost_leaves_the_event_blind() -> None:
    lost = [row for row in people() if not (row[1] == 1 and row[0] >= 3)]
    found = summarize([count_misses(tracks(people()), tracks(lost), [EVENT], 0.5)])
    assert found["missed"]["value"] == 3 / 12
    assert found["missed_in_faint"]["value"] == 2 / 3
    assert found["blind_in_faint"]["value"] == 2 / 3
    assert found["switches"] == 0


def test_another_identity_is_a_switch_also_after_a_gap() -> None:
    moved = [(f, 7 if f > 3 else 1, x) for f, who, x in people() if who == 1 and f != 3]
    found = summarize([count_misses(tracks(people()), tracks(moved), [], 0.5)])
    assert found["switches"] == 1
    assert found["missed"]["value"] == (1 + 6) / 12


def test_a_box_on_nobody_is_extra_and_finds_nobody() -> None:
    wrong = [(f, 1, 107.0) for f in range(6)]
    found = summarize([count_misses(tracks(people()), tracks(wrong), [], 0.5)])
    assert (found["boxes"], found["extra_boxes"]) == (6, 6)
    assert found["missed"]["value"] == 1


def test_videos_add_up_and_a_video_without_anybody_is_none() -> None:
    empty = tracks([])
    one = count_misses(tracks(people()), empty, [EVENT], 0.5)
    found = summarize([one, count_misses(empty, empty, [], 0.5), one])
    assert found["missed"] == found["missed"] | {"value": 1.0, "n": 24}
    assert found["persons"] == 4
    assert found["blind_in_faint"]["n"] == 6
