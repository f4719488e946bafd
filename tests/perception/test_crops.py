"""Crops: square, padded, never smaller than asked, and sound wherever a box lies."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.errors import InputError
from vigil.perception.crops import GRAY, Fill, cut, near_pairs, square, union


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((10, 10, 30, 110), (-40, 0, 80, 120)),
        ((0, 0, 200, 100), (-20, -70, 220, 170)),
        ((50, 50, 60, 60), (23, 23, 87, 87)),
        ((5, 5, 5, 5), (-27, -27, 37, 37)),
    ],
    ids=["tall", "wide", "small", "a point"],
)
def test_squares_are_padded_and_keep_their_center(
    box: tuple[float, float, float, float], expected: tuple[float, float, float, float]
) -> None:
    np.testing.assert_allclose(square(boxes(box), pad=0.1, min_side=64)[0], expected, atol=1e-4)


def test_no_box_gives_no_square_and_no_pair() -> None:
    assert square(boxes(), 0.1, 64).shape == (0, 4)
    assert near_pairs(boxes(), 1.0).shape == (0, 2)
    assert union(boxes(), np.zeros((0, 2), np.int64)).shape == (0, 4)


@pytest.mark.parametrize(
    "box", [(0, 0, np.nan, 5), (0, 0, np.inf, 5), (9, 0, 3, 5)], ids=["nan", "inf", "reversed"]
)
def test_impossible_boxes_are_one_clear_line(box: tuple[float, float, float, float]) -> None:
    for use in (
        lambda: square(boxes(box), 0.1, 64),
        lambda: near_pairs(boxes(box), 0.1),
        lambda: cut(np.zeros((9, 9, 3), np.uint8), boxes(box)[0], 8, "edge"),
    ):
        with pytest.raises(InputError, match="expected finite boxes"):
            use()


def test_pairs_are_people_whose_gap_is_small_for_their_height() -> None:
    people = boxes((0, 0, 10, 40), (18, 0, 28, 40), (60, 0, 70, 40), (5, 5, 15, 35))
    assert near_pairs(people, 0.0).tolist() == [[0, 3]]
    assert near_pairs(people, 0.25).tolist() == [[0, 1], [0, 3], [1, 3]]
    assert near_pairs(people, 1.0).tolist() == [[0, 1], [0, 3], [1, 2], [1, 3]]
    assert union(people, np.array([[0, 1]]))[0].tolist() == [0, 0, 28, 40]


def image() -> np.ndarray:
    """Left half red, right half blue, 40 x 30 pixels."""
    rgb = np.zeros((30, 40, 3), np.uint8)
    rgb[:, :20], rgb[:, 20:] = (200, 0, 0), (0, 0, 200)
    return rgb


@pytest.mark.parametrize("size", [8, 20, 64])
def test_what_lies_inside_keeps_its_place(size: int) -> None:
    crop = cut(image(), boxes((10, 5, 30, 25))[0], size, "gray")
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    left, right = crop[:, : size // 2 - 2], crop[:, size // 2 + 2 :]
    np.testing.assert_allclose(left.mean(axis=(0, 1)), [200, 0, 0], atol=2)
    np.testing.assert_allclose(right.mean(axis=(0, 1)), [0, 0, 200], atol=2)


@pytest.mark.parametrize(("fill", "color"), [("gray", GRAY), ("edge", (200, 0, 0))])
def test_what_lies_outside_is_filled(fill: Fill, color: tuple[int, int, int]) -> None:
    crop = cut(image(), boxes((-10, 5, 10, 25))[0], 20, fill)
    assert crop[10, 2].tolist() == list(color)
    assert crop[10, 15].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    ("box", "edge"),
    [
        ((-50, 5, -30, 25), (200, 0, 0)),
        ((40, 5, 60, 25), (0, 0, 200)),
        ((25, -90, 35, -80), (0, 0, 200)),
        ((5, 300, 15, 310), (200, 0, 0)),
    ],
    ids=["left", "right", "above", "below"],
)
def test_a_box_wholly_outside_shows_gray_or_the_nearest_border(
    box: tuple[float, float, float, float], edge: tuple[int, int, int]
) -> None:
    assert (cut(image(), boxes(box)[0], 12, "gray") == GRAY).all()
    assert (cut(image(), boxes(box)[0], 12, "edge") == edge).all()


def test_a_huge_box_costs_no_memory_and_shows_the_image_as_a_speck() -> None:
    crop = cut(image(), boxes((-1e6, -1e6, 1e6, 1e6))[0], 16, "gray")
    assert (crop == GRAY).all(axis=2).sum() == 16 * 16 - 1


def test_a_box_without_area_shows_one_pixel() -> None:
    assert (cut(image(), boxes((30, 10, 30, 10))[0], 4, "edge") == (0, 0, 200)).all()
