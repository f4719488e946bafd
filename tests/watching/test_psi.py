"""PSI: numbers by hand, and how chance is told apart from drift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.watching.binning import Bins, choose
from vigil.watching.psi import index, null_band, shares


def test_index_is_what_a_hand_works_out() -> None:
    before, now = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    by_hand = -0.25 * math.log(0.5) + 0.25 * math.log(1.5)  # = 0.25 ln 3
    assert by_hand == pytest.approx(0.274653, abs=1e-6)
    assert index(before, now) == pytest.approx(by_hand)
    three = index(np.array([0.2, 0.3, 0.5]), np.array([0.3, 0.3, 0.4]))
    assert three == pytest.approx(0.1 * math.log(1.5) + 0.1 * math.log(1.25))  # 0.062861
    assert three == pytest.approx(0.062861, abs=1e-6)


def test_half_an_observation_keeps_an_empty_bin_finite() -> None:
    assert shares(np.array([0, 9])) == pytest.approx([0.05, 0.95])
    found = index(shares(np.array([5, 4])), shares(np.array([0, 9])))
    assert found == pytest.approx(0.5 * math.log(11) + 0.5 * math.log(0.95 / 0.45))


def test_the_bias_of_independent_values_is_bins_minus_one_over_n() -> None:
    rng = np.random.default_rng(0)
    groups = np.eye(5, dtype=np.int64)[rng.integers(0, 5, 2000)]  # videos of a single window
    band = null_band(groups, np.ones(500, np.int64), 0.05, 2000, rng)
    assert band.mean == pytest.approx(4 * (1 / 500 + 1 / 2000), rel=0.1)


def test_windows_that_cling_to_their_video_widen_the_band() -> None:
    rng = np.random.default_rng(0)
    alone = null_band(np.tile([[5, 5]], (20, 1)), np.full(10, 10), 0.05, 500, rng)
    clinging = null_band(np.array([[10, 0], [0, 10]] * 10), np.full(10, 10), 0.05, 500, rng)
    assert clinging.high > 5 * alone.high


def test_windows_of_few_sources_widen_the_band() -> None:
    groups = np.array([[10, 0], [0, 10]] * 200)
    few, many = (
        null_band(groups, np.full(blocks, 50 // blocks), 0.05, 500, np.random.default_rng(0))
        for blocks in (5, 50)
    )
    assert few.high > 4 * many.high


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=60),
    st.sampled_from(["persons", "keypoint_confidence"]),
)
@settings(max_examples=60, deadline=None)
def test_every_value_lies_in_exactly_one_bin(values: list[float], feature: str) -> None:
    told = np.abs(np.array(values)) if feature == "persons" else np.array(values)
    bins = choose(feature, told, 10, 5)
    assert bins.count(told).sum() == (~np.isnan(told)).sum()
    assert list(bins.edges) == sorted(set(bins.edges))
    assert len(bins.names(feature)) == len(bins) <= 10


def test_a_value_that_never_changed_is_told_from_less_and_more() -> None:
    bins = choose("keypoint_confidence", np.full(50, 0.7), 10, 10)
    assert bins.count(np.array([0.5, 0.7, 0.7, 0.9])).tolist() == [1, 2, 1]


def test_numbers_of_persons_have_their_own_bins() -> None:
    bins = choose("persons", np.repeat([1.0, 2.0, 3.0, 4.0], [20, 4, 20, 20]), 10, 10)
    assert bins == Bins((1.5, 3.5, 4.5))
    assert bins.names("persons") == ["up to 1", "2 to 3", "4", "5 or more"]
