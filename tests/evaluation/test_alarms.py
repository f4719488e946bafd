"""Alarms follow n of m, never count once for ever, and their threshold comes from validation."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.test_frames import video
from tests.skeletons import config
from vigil.config import AlarmSection
from vigil.evaluation.alarms import alarms, looks, measure_events, operating_point, tally

RULE = AlarmSection(step_s=0.25, n=2, m=4, repeat_s=2.0, slack_s=0.25, max_false_per_hour=0.0)
EVALUATE = config().evaluate.model_copy(update={"bootstrap": 300})


def seen(scores: str) -> np.ndarray:
    """Return looks a second apart; each digit is a score in tenths."""
    return np.array([(i, int(digit) / 10) for i, digit in enumerate(scores)])


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        pytest.param("0090000", [], id="one look is no alarm"),
        pytest.param("0909000", [3], id="two of the last four are"),
        pytest.param("0900090", [], id="two too far apart are not"),
        pytest.param("0990990", [2, 4], id="a standing alarm counts again after repeat_s"),
        pytest.param("0990000099", [2, 9], id="it ends when none of the last four is above"),
        pytest.param("5555555", [1, 3, 5], id="a look at the threshold counts"),
        pytest.param("", [], id="no look"),
    ],
)
def test_an_alarm_is_n_of_m(scores: str, wanted: list[float]) -> None:
    found = seen(scores) if scores else np.zeros((0, 2))
    assert alarms(found, 0.5, RULE) == wanted


def test_a_standing_alarm_outlasts_dips_below_n() -> None:
    once = RULE.model_copy(update={"repeat_s": 100.0})
    assert alarms(seen("0990900909"), 0.5, once) == [2]
    assert alarms(seen("0990000909"), 0.5, once) == [2, 9]


def test_looks_are_even_in_time_at_any_frame_rate() -> None:
    said, truth = video("a", np.linspace(0, 1, 48))
    times = looks(said, truth.known, 0.25)[:, 0]
    np.testing.assert_allclose(np.diff(times), 0.25)
    half = looks(said, truth.known & (np.arange(48) % 2 == 0), 0.25)[:, 0]
    np.testing.assert_allclose(half, times, atol=1 / 12 + 1e-6)
    assert len(looks(said, np.zeros(48, np.bool_), 0.25)) == 0


def test_events_are_found_or_missed_and_alarms_elsewhere_are_false() -> None:
    scores = np.zeros(120)
    scores[24:48] = 0.9
    hit = tally(*video("a", scores, (2.0, 4.0)), 0.5, RULE)
    assert (hit.found, hit.false, hit.labels) == ((True,), 0, ("assault",))
    assert hit.delays_s[0] == pytest.approx(0.5, abs=0.1)
    missed = tally(*video("a", scores, (7.0, 9.0)), 0.5, RULE)
    assert (missed.found, missed.false, missed.delays_s) == ((False,), 1, ())


def test_a_system_that_always_alarms_is_not_counted_once() -> None:
    said, truth = video("a", np.ones(480), (38.0, 39.0))
    found = tally(said, truth, 0.5, RULE)
    assert found.false > 15
    assert found.found == (True,)


def test_the_threshold_is_the_lowest_that_keeps_false_alarms_within_the_limit() -> None:
    calm = np.full(480, 0.2)
    calm[100:130] = 0.6
    fight = np.full(480, 0.3)
    fight[120:240] = 0.8
    pairs = [video("calm", calm), video("fight", fight, (10.0, 20.0))]
    said, truths = [one for one, _ in pairs], [truth for _, truth in pairs]
    strict = operating_point(said, truths, RULE)
    assert 0.6 < strict < 0.81
    assert all(tally(s, t, strict, RULE).false == 0 for s, t in pairs)
    loose = operating_point(said, truths, RULE.model_copy(update={"max_false_per_hour": 100.0}))
    assert 0.3 < loose < 0.61


def test_a_threshold_counts_only_if_every_higher_one_keeps_the_limit_too() -> None:
    """An alarm that an event raised and that never ends hides what comes after it."""
    once = RULE.model_copy(update={"repeat_s": 100.0})
    scores = np.zeros(480)
    scores[120:] = 0.4
    scores[300:330] = 0.6
    said, truth = video("a", scores, (10.0, 20.0))
    assert tally(said, truth, 0.3, once).false == 0
    assert tally(said, truth, 0.5, once).false == 1
    assert operating_point([said], [truth], once) > 0.6


def test_where_every_threshold_alarms_too_often_none_is_used() -> None:
    said, truth = video("calm", np.full(480, 1.0))
    threshold = operating_point([said], [truth], RULE)
    assert threshold > 1
    assert tally(said, truth, threshold, RULE).false == 0


def test_recall_and_false_alarms_have_honest_intervals() -> None:
    scores = np.zeros(120)
    scores[24:48] = 0.9
    pairs = [video(f"v{i}", scores, (2.0, 4.0)) for i in range(6)]
    pairs += [video(f"w{i}", scores, (7.0, 9.0)) for i in range(2)]
    said, truths = [one for one, _ in pairs], [truth for _, truth in pairs]
    found = measure_events(said, truths, 0.5, RULE, EVALUATE)
    assert (found["events"], found["found"], found["false_alarms"]) == (8, 6, 2)
    assert found["recall"]["value"] == found["recall_assault"]["value"] == 0.75
    assert found["recall"]["low"] < 0.5
    assert found["recall"]["high"] > 0.9
    hours = 8 * 10 / 3600
    rate = found["false_alarms_per_hour"]
    assert rate["value"] == pytest.approx(2 / hours)
    assert rate["low"] <= 0.2422 / hours * 1.001  # Poisson's exact bounds for 2
    assert rate["high"] >= 7.2247 / hours * 0.999
    assert found["median_delay_s"] == pytest.approx(0.5, abs=0.1)


def test_no_false_alarm_is_not_certainty() -> None:
    said, truth = video("calm", np.zeros(120))
    found = measure_events([said], [truth], 0.5, RULE, EVALUATE)
    assert found["false_alarms_per_hour"]["value"] == 0
    assert found["false_alarms_per_hour"]["high"] == pytest.approx(3.6889 / (10 / 3600), rel=1e-3)
    assert "recall" not in found
    assert found["median_delay_s"] is None
