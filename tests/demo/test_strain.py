"""Joints are found worse where they move fast and where people cover each other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.skeletons import STANDING
from vigil.demo.strain import strain

FRAMES = 24


def standing(x: float) -> np.ndarray:
    return np.tile(STANDING.astype(np.float64), (FRAMES, 1, 1)) + np.array([x, 200.0])


def seen(people: list[np.ndarray]) -> list[np.ndarray]:
    return [np.ones(person.shape[:2], bool) for person in people]


def test_one_who_stands_alone_is_found_as_ever() -> None:
    people = [standing(100), standing(400)]
    for worse in strain(people, seen(people), 12.0, 2.0, 3.0):
        np.testing.assert_allclose(worse, 1.0)


def test_a_joint_that_moves_fast_is_found_worse_and_the_others_are_not() -> None:
    person = standing(100)
    person[:, 9, 0] += np.arange(FRAMES) * 10.0
    (worse,) = strain([person], seen([person]), 12.0, 1.0, 0.0)
    assert worse[5:-5, 9].min() > 1.3
    assert worse[:, 10].max() == 1.0


@pytest.mark.parametrize("overlap", [0.0, 2.0])
def test_people_who_cover_each_other_are_found_worse(overlap: float) -> None:
    people = [standing(100), standing(100), standing(400)]
    one, two, far = strain(people, seen(people), 12.0, 0.0, overlap)
    np.testing.assert_allclose(one, 1.0 + overlap)
    np.testing.assert_allclose(two, 1.0 + overlap)
    np.testing.assert_allclose(far, 1.0)


def test_one_who_is_not_in_the_picture_covers_nobody() -> None:
    people = [standing(100), standing(100)]
    there = seen(people)
    there[1][:] = False
    one, gone = strain(people, there, 12.0, 1.0, 2.0)
    np.testing.assert_allclose(one, 1.0)
    assert np.isfinite(gone).all()
