"""Every frame has a score, none a silent zero, and truth is what events or labels say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.embeddings import CLASSES, timeline
from vigil.config import FramesSection
from vigil.errors import InputError
from vigil.frames import Moments, most_eventful, spread, truth_of_events, truth_of_labels
from vigil.schema import CARRIED, FALLBACK, JUDGED, Clip, Event, FrameScores, clip_id

ALARM = {"step_s": 0.25, "n": 2, "m": 4, "repeat_s": 5.0, "slack_s": 0.5, "max_false_per_hour": 0}
PARAMS = FramesSection.model_validate(
    {"without_track": "carry", "half_life_s": 1.0, "stride_s": 0.5, "anchor": "center",
     "ground_truth": "", "match_iou": 0.5, "alarm": ALARM}
)  # fmt: skip
WHOLE = PARAMS.model_copy(update={"without_track": "whole_frame"})
NAN = [np.nan] * 3
CALM, FIGHT, VAGUE = [0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]


def moments(rows: list[list[float]], every: int = 12) -> Moments:
    judged = np.array(rows, np.float32)
    times = np.arange(len(rows)) * every / 12
    return Moments(times, judged, np.tile(np.array(VAGUE, np.float32), (len(rows), 1)))


def said(rows: list[list[float]], params: FramesSection = PARAMS, frames: int = 48) -> FrameScores:
    return spread(timeline(frames=frames), moments(rows), "test", CLASSES, 0, params)


def test_a_frame_takes_the_last_moment_at_or_before_it() -> None:
    found = said([CALM, FIGHT, CALM, FIGHT])
    assert len(found) == 48
    np.testing.assert_allclose(found.score[[0, 11, 12, 23, 24, 47]], [.1, .1, .9, .9, .1, .9],
                               atol=1e-6)  # fmt: skip
    assert (found.source == JUDGED).all()


def test_frames_before_the_first_moment_take_it() -> None:
    late = moments([FIGHT])
    late = Moments(late.time_s + 2.0, late.judged, late.fallback)
    found = spread(timeline(), late, "test", CLASSES, 0, PARAMS)
    np.testing.assert_allclose(found.score, 0.9, atol=1e-6)


def test_a_lost_person_is_carried_forward_and_fades_into_the_whole_frame() -> None:
    found = said([FIGHT, NAN, NAN, NAN])
    assert found.source.tolist() == [JUDGED] * 12 + [CARRIED] * 36
    at_one_s, at_two_s = found.score[12], found.score[24]
    assert at_one_s == pytest.approx(0.5 * 0.9 + 0.5 * 0.5)
    assert at_two_s == pytest.approx(0.25 * 0.9 + 0.75 * 0.5)
    assert (np.diff(found.score[12:]) < 0).all()
    assert found.score.min() > 0.5


def test_before_anybody_is_seen_the_whole_frame_stands_in() -> None:
    found = said([NAN, FIGHT, NAN, FIGHT])
    assert found.source.tolist() == ([FALLBACK] * 12 + [JUDGED] * 12 + [CARRIED] * 12
                                     + [JUDGED] * 12)  # fmt: skip
    np.testing.assert_allclose(found.score[:12], 0.5)


def test_the_whole_frame_may_stand_in_at_once() -> None:
    found = said([FIGHT, NAN, NAN, NAN], WHOLE)
    assert found.source.tolist() == [JUDGED] * 12 + [FALLBACK] * 36
    np.testing.assert_allclose(found.score[12:], 0.5)


@given(st.lists(st.sampled_from([NAN, CALM, FIGHT]), min_size=1, max_size=6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_frame_without_anybody_is_never_a_silent_zero(
    rows: list[list[float]], carry: bool
) -> None:
    found = said(rows, PARAMS if carry else WHOLE)
    assert len(found) == 48
    assert found.score.min() > 0.09
    assert ((found.source == JUDGED) == np.isfinite(np.repeat(rows, 12, axis=0)[:, 0])[
        np.minimum(np.arange(48), 12 * len(rows) - 1)]).all()  # fmt: skip
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-6)


def test_a_video_that_nobody_judged_is_one_clear_line() -> None:
    empty = Moments(np.zeros(0), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    with pytest.raises(InputError, match="frames: v: test: expected moments, got none"):
        spread(timeline(), empty, "test", CLASSES, 0, PARAMS)


def test_the_person_least_likely_to_be_normal_speaks_for_the_frame() -> None:
    frame = np.array([6, 0, 0, 6, 9], np.int32)
    probabilities = np.array([CALM, CALM, FIGHT, VAGUE, FIGHT], np.float32)
    found = most_eventful(frame, probabilities, np.array([0, 3, 6], np.int32), 0)
    np.testing.assert_allclose(found[[0, 2]], [FIGHT, VAGUE])
    assert np.isnan(found[1]).all()


def test_truth_follows_the_events_to_the_frame() -> None:
    events = [Event("v", "assault", 1.0, 2.0), Event("v", "faint", 1.5, 3.0),
              Event("v", "normal", 0.0, 4.0), Event("other", "assault", 0.0, 4.0)]  # fmt: skip
    truth = truth_of_events(timeline(), events, CLASSES, 0)
    assert np.flatnonzero(truth.active[:, 1]).tolist() == list(range(12, 24))
    assert np.flatnonzero(truth.active[:, 2]).tolist() == list(range(18, 36))
    assert np.flatnonzero(truth.active[:, 0]).tolist() == [*range(12), *range(36, 48)]
    assert truth.known.all()
    assert truth.seconds == pytest.approx(4.0)
    assert [event.label for event in truth.events] == ["assault", "faint"]


def clip(start: int, end: int) -> Clip:
    return Clip(clip_id("v", start, end), "v", start, end, start * 12, end * 12, 1)


def test_labeled_windows_join_into_events_and_the_rest_is_left_out() -> None:
    clips = [clip(1, 2), clip(0, 1), clip(3, 4), clip(2, 3)]
    settled = {clips[0].clip_id: 1, clips[1].clip_id: 0, clips[3].clip_id: 1}
    truth = truth_of_labels(timeline(), clips, settled, CLASSES, 0)
    assert np.flatnonzero(~truth.known).tolist() == list(range(36, 48))
    assert np.flatnonzero(truth.active[:, 1]).tolist() == list(range(12, 36))
    assert [(e.label, e.start_s, e.end_s) for e in truth.events] == [("assault", 1, 3)]
    assert truth.seconds == pytest.approx(3.0)
