"""Sequences are cut by seconds from tracks that come and go, and their answers pooled by clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tracks import bag
from vigil.sequences import Cut, Tokens, cut_clip, cut_window, kinds, pool, starts

CUT = Cut(8, 2.0, 1.0, ("person",), 24, 0.25)


def tokens(*rows: tuple[float, int, int], label: int = 0) -> Tokens:
    """Return embeddings that hold their own time: rows of (seconds, track, other)."""
    time_s = np.array([row[0] for row in rows], np.float64)
    track = np.array([row[1:] for row in rows], np.int32).reshape(-1, 2)
    vectors = np.repeat(time_s[:, None], 3, axis=1).astype(np.float32)
    return Tokens(time_s, track, vectors, np.full(len(rows), label, np.int16))


def steady(track: int, other: int = -1, every_s: float = 0.125) -> list[tuple[float, int, int]]:
    return [(float(t), track, other) for t in np.arange(0, 4, every_s)]


def test_moments_are_spread_over_the_span_whatever_the_rate() -> None:
    for every_s in (0.02, 0.125, 0.25):
        found = cut_window(tokens(*steady(1, every_s=every_s)), 1.0, CUT, 0)
        wanted = 1.0 + (np.arange(8) + 0.5) * 0.25
        assert found.embedding.shape == (1, 8, 3)
        np.testing.assert_allclose(found.embedding[0, :, 0], wanted, atol=every_s / 2 + 1e-6)
        assert found.present == [1.0]


def test_a_track_seen_once_repeats_itself_and_is_hardly_present() -> None:
    found = cut_window(tokens((1.2, 7, -1)), 1.0, CUT, 0)
    np.testing.assert_allclose(found.embedding[0, :, 0], 1.2, atol=1e-6)
    assert found.present[0] <= 0.375


def test_a_gap_is_filled_by_the_nearest_moment_of_the_same_track() -> None:
    rows = [row for row in steady(1) if not 0.5 < row[0] < 1.5]
    found = cut_window(tokens(*rows, *steady(2)), 0.0, CUT, 0)
    assert found.track.tolist() == [[1, -1], [2, -1]]
    assert set(found.embedding[0, :, 0]) <= {row[0] for row in rows}
    assert found.present[0] < found.present[1] == 1.0


def test_nothing_from_outside_the_span_is_taken() -> None:
    found = cut_window(tokens(*steady(1)), 1.0, CUT, 0)
    assert found.embedding.min() >= 1.0
    assert found.embedding.max() < 3.0
    assert not len(cut_window(tokens((0.5, 1, -1), (3.0, 1, -1)), 1.0, CUT, 0))


@pytest.mark.parametrize(
    ("crops", "wanted"),
    [
        (("person",), {(1, -1), (2, -1)}),
        (("pair",), {(1, 2)}),
        (("person", "pair"), {(1, -1), (2, -1), (1, 2)}),
        (("frame",), {(-1, -1)}),
    ],
)
def test_crops_say_what_makes_sequences(crops: tuple, wanted: set[tuple[int, int]]) -> None:
    rows = [*steady(-1), *steady(1), *steady(2), *steady(1, 2)]
    found = cut_window(tokens(*rows), 0.0, replace(CUT, crops=crops), 0)
    assert {tuple(track) for track in found.track.tolist()} == wanted


def test_a_clip_without_any_track_is_told_by_its_whole_frames() -> None:
    found = cut_clip(tokens(*steady(-1)), 0.0, 4.0, CUT, 0)
    assert (kinds(found.track) == "frame").all()
    assert found.start_s.tolist() == [0.0, 1.0, 2.0]


def test_whole_frames_do_not_speak_for_a_clip_that_shows_somebody_for_a_while() -> None:
    found = cut_clip(tokens(*steady(-1), (0.3, 1, -1)), 0.0, 4.0, CUT, 0)
    assert found.track.tolist() == [[1, -1]]


def test_a_clip_without_any_embedding_is_one_sequence_of_zeros() -> None:
    found = cut_clip(tokens(), 0.0, 4.0, CUT, 0)
    assert found.embedding.shape == (1, 8, 3)
    assert not found.embedding.any()
    assert (found.present, found.label) == ([0.0], [-1])


@pytest.mark.parametrize(
    ("end_s", "wanted"), [(4.0, [0, 1, 2]), (2.0, [0]), (1.0, [0]), (3.99, [0, 1])]
)
def test_spans_lie_inside_the_clip(end_s: float, wanted: list[float]) -> None:
    assert starts(0.0, end_s, CUT).tolist() == wanted


def test_training_draws_other_moments_and_stays_inside() -> None:
    rng = np.random.default_rng(0)
    drawn = [cut_clip(tokens(*steady(1)), 0.0, 4.0, CUT, 0, rng) for _ in range(20)]
    assert len({part.embedding.tobytes() for part in drawn}) > 15
    assert all(part.start_s.min() >= 0 and part.start_s.max() <= 2.0 for part in drawn)


def test_of_too_many_sequences_the_least_present_are_left_out() -> None:
    rows = [*steady(1), *steady(2), (0.1, 3, -1), (2.1, 3, -1)]
    found = cut_clip(tokens(*rows), 0.0, 4.0, replace(CUT, max_sequences=6), 0)
    assert len(found) == 6
    assert set(found.track[:, 0].tolist()) == {1, 2}


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [([0] * 8, 0), ([0] * 7 + [2], -1), ([0] * 6 + [2] * 2, 2), ([1] * 3 + [2] * 5, 2),
     ([-1] + [2] * 7, -1)],
)  # fmt: skip
def test_a_sequence_shows_an_event_when_it_is_clear(labels: list[int], wanted: int) -> None:
    rows = tokens(*[(i * 0.25, 1, -1) for i in range(8)])
    said = replace(rows, label=np.array(labels, np.int16))
    assert cut_window(said, 0.0, replace(CUT, event_share=0.25), 0).label.tolist() == [wanted]


def test_a_rate_lower_than_the_sequence_is_fine() -> None:
    found = cut_clip(tokens(*steady(1, every_s=1.0)), 0.0, 4.0, CUT, 0)
    assert found.embedding.shape == (3, 8, 3)


SAID = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], np.float32)
OWNER = np.array([1, 1, 1, 0])


@pytest.mark.parametrize(
    ("how", "wanted"),
    [("max", [0.2, 0.8]), ("top", [0.4, 0.6]), ("mean", [1.7 / 3, 1.3 / 3])],
)
def test_a_clip_is_told_by_its_least_normal_sequences(how: str, wanted: list[float]) -> None:
    found = pool(SAID, OWNER, 2, how, 2, 0)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [[0.7, 0.3], wanted], atol=1e-6)


def test_the_hand_made_bags_are_what_they_say() -> None:
    row = bag(0, 1, told=True)
    found = cut_clip(Tokens.of(row), 10.0, 14.0, CUT, 0)
    assert set(found.label[found.track[:, 0] == 0].tolist()) == {1}
    assert set(found.label[found.track[:, 0] > 0].tolist()) == {0}
