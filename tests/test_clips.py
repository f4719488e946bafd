"""Windows by seconds: stable ids, exact frames, variable frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.errors import InputError
from vigil.schema import Timeline, Tracks


def timeline(times: list[float] | np.ndarray, video_id: str = "hall") -> Timeline:
    return Timeline(video_id, 640, 360, time_s=np.asarray(times, dtype=np.float64))


def tracks(rows: list[tuple[int, int]], video_id: str = "hall") -> Tracks:
    """Tracks from (frame, track id) pairs."""
    n = len(rows)
    pairs = np.asarray(rows, dtype=np.int32).reshape(n, 2)
    boxes = np.tile(np.float32([0, 0, 10, 20]), (n, 1))
    times = np.zeros(n, dtype=np.float64)
    scores = np.ones(n, dtype=np.float32)
    return Tracks(video_id, 640, 360, pairs[:, 0], times, pairs[:, 1], boxes, scores)


def config(length: float, stride: float, least: float | None = None) -> ClipsSection:
    return ClipsSection(length_s=length, stride_s=stride, min_length_s=least or length)


def test_windows_overlap_by_length_minus_stride_and_cover_the_video():
    clips = propose_clips(timeline(np.arange(120) / 12), tracks([]), config(4, 2))
    assert [(c.start_s, c.end_s) for c in clips] == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert [(c.start_frame, c.end_frame) for c in clips] == [(0, 48), (24, 72), (48, 96), (72, 120)]
    assert [c.clip_id for c in clips][:2] == ["hall@0-4000", "hall@2000-6000"]


@pytest.mark.parametrize("fps", [12, 15, 24, 25, 29.97, 30, 59.94])
def test_rounding_of_frame_times_moves_no_window(fps: float):
    times = np.round(np.arange(round(10 * fps)) / fps, 3)
    clips = propose_clips(timeline(times), tracks([]), config(4, 2))
    assert [c.clip_id for c in clips] == [f"hall@{a * 1000}-{(a + 4) * 1000}" for a in (0, 2, 4, 6)]


def test_variable_frame_rate_changes_frames_not_seconds():
    slow, fast = np.arange(0, 4, 0.2), np.arange(4, 8, 0.05)
    clips = propose_clips(timeline(np.concatenate([slow, fast])), tracks([]), config(4, 4))
    assert [(c.start_s, c.end_s) for c in clips] == [(0, 4), (4, 8)]
    assert [(c.start_frame, c.end_frame) for c in clips] == [(0, 20), (20, 100)]


def test_a_tail_gives_a_clip_when_it_is_long_enough():
    times = np.arange(0, 9, 0.1)
    assert [c.end_s for c in propose_clips(timeline(times), tracks([]), config(4, 4))] == [4, 8]
    tailed = propose_clips(timeline(times), tracks([]), config(4, 4, least=1))
    assert [round(c.end_s - c.start_s, 3) for c in tailed] == [4, 4, 1]
    assert tailed[-1].clip_id == "hall@8000-9000"
    assert tailed[-1].end_frame == 90


def test_no_tail_is_cut_from_inside_a_full_window():
    clips = propose_clips(timeline(np.arange(0, 8, 0.1)), tracks([]), config(4, 1, least=0.5))
    assert [c.start_s for c in clips] == [0, 1, 2, 3, 4]


def test_a_short_video_gives_no_clip():
    assert propose_clips(timeline(np.arange(0, 3, 0.1)), tracks([]), config(4, 2)) == []


@pytest.mark.parametrize("times", [[], [0.0]], ids=["no frame", "one frame"])
def test_a_video_of_no_length_gives_no_clip(times: list[float]):
    assert propose_clips(timeline(times), tracks([]), config(4, 2)) == []


def test_a_window_in_which_nothing_is_shown_is_left_out():
    times = np.concatenate([np.arange(0, 2, 0.1), np.arange(6, 8, 0.1)])
    clips = propose_clips(timeline(times), tracks([]), config(2, 2))
    assert [c.start_s for c in clips] == [0, 6]


def test_persons_are_counted_per_window():
    seen = tracks([(0, 1), (0, 2), (47, 1), (48, 3), (100, 4)])
    clips = propose_clips(timeline(np.arange(120) / 12), seen, config(4, 4))
    assert [c.n_persons for c in clips] == [2, 1]


def test_tracks_of_another_video_are_refused():
    with pytest.raises(InputError, match="hall: expected its own tracks, got those of yard"):
        propose_clips(timeline([0, 1]), tracks([], "yard"), config(1, 1))


def test_tracks_beyond_the_last_frame_are_refused():
    with pytest.raises(InputError, match="within 2 frames, got frame 7"):
        propose_clips(timeline([0, 1]), tracks([(7, 1)]), config(1, 1))
