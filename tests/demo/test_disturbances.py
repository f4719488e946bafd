"""Each error of simulated skeletons does what it says, and nothing when it is 0."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vigil.demo.disturbances import Disturbance, People, disturb

NOTHING = Disturbance(**dict.fromkeys((field.name for field in fields(Disturbance)), 0.0))
SIZE = (640, 360)
FRAMES = 120
STANDING = np.array(
    [[0, -90], [-4, -94], [4, -94], [-8, -92], [8, -92], [-18, -75], [18, -75], [-24, -50],
     [24, -50], [-26, -28], [26, -28], [-12, -25], [12, -25], [-13, 10], [13, 10], [-14, 45],
     [14, 45]], float,
)  # fmt: skip


def people(
    how: Disturbance,
    at: tuple[float, ...] = (200.0, 450.0),
    seed: int = 0,
    lying: bool = False,
    falls: int | None = None,
) -> tuple[NDArray[np.float64], People]:
    """Disturb people who stand or lie at x = `at`, the first nearest; return the truth beside."""
    body = STANDING[:, ::-1] if lying else STANDING
    uv = np.stack([np.tile(body + np.array([x, 180.0]), (FRAMES, 1, 1)) for x in at])
    if falls is not None:
        uv[:, falls:] = np.stack([STANDING[:, ::-1] + np.array([x, 180.0]) for x in at])[:, None]
    depth = np.stack([np.full((FRAMES, 17), 3.0 + i) for i in range(len(at))])
    return uv, disturb(uv, depth, SIZE, 12.0, how, np.random.default_rng(seed))


def changes(identity: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the frames at which the identity of one person changes."""
    return np.flatnonzero(np.diff(identity)) + 1


def test_nothing_changes_nothing() -> None:
    uv, found = people(NOTHING)
    np.testing.assert_array_equal(found.uv, uv)
    assert (found.score > 0).all()
    np.testing.assert_array_equal(found.identity, [[1] * FRAMES, [2] * FRAMES])


def test_errors_are_of_the_size_that_is_asked_for_and_last() -> None:
    uv, little = people(replace(NOTHING, noise=1.0))
    _, much = people(replace(NOTHING, noise=3.0))
    small, large = (np.abs(found.uv - uv).mean() for found in (little, much))
    assert 0.5 < small < 8.0
    assert large == pytest.approx(3 * small, rel=1e-6)
    error = (little.uv - uv)[0, :, 9, 0]
    assert np.corrcoef(error[:-1], error[1:])[0, 1] > 0.3


def test_those_who_lie_are_seen_worse_than_those_who_stand() -> None:
    how = replace(NOTHING, noise=1.0, lying=3.0)
    errors = []
    for lying in (False, True):
        pairs = [people(how, seed=seed, lying=lying) for seed in range(8)]
        errors.append(np.mean([np.abs(found.uv - uv).mean() for uv, found in pairs]))
    assert errors[1] > 1.7 * errors[0]


def test_left_and_right_are_exchanged_for_a_while() -> None:
    uv, found = people(replace(NOTHING, mirror=1.0))
    mirrored = (found.uv[0, :, 9] == uv[0, :, 10]).all(-1)
    assert 5 < mirrored.sum() < FRAMES - 5
    assert (found.uv[0, ~mirrored, 9] == uv[0, ~mirrored, 9]).all()


def test_joints_outside_the_picture_are_guessed_or_missing() -> None:
    _, missing = people(NOTHING, at=(635.0,))
    _, guessed = people(replace(NOTHING, guessed=1.0), at=(635.0,))
    outside = missing.score[0, 0] == 0
    assert 0 < outside.sum() < 17
    assert (guessed.score > 0).all()
    assert guessed.score[0, :, outside].mean() < guessed.score[0, :, ~outside].mean() - 0.2


def test_frames_are_lost_in_runs() -> None:
    how = replace(NOTHING, lost_frame=0.4)
    found = [people(how, seed=seed)[1] for seed in range(10)]
    lost = np.concatenate([~(one.score > 0).any(-1) for one in found])
    assert 0.1 < lost.mean() < 0.3
    runs = (np.diff(lost.astype(int), axis=1) > 0).sum() + lost[:, 0].sum()
    assert lost.sum() / runs > 2.0  # by chance alone it would be 1.25


def test_who_stands_behind_another_is_lost_and_who_stands_before_is_not() -> None:
    _, found = people(replace(NOTHING, covered=0.9), at=(300.0, 302.0))
    share = (found.score > 0).any(-1).mean(-1)
    assert share[0] > 0.95
    assert share[1] < 0.3


def test_only_people_who_touch_exchange_identities() -> None:
    how = replace(NOTHING, exchange=5.0)
    _, apart = people(how)
    _, near = people(how, at=(300.0, 310.0), seed=1)
    assert not len(changes(apart.identity[0]))
    assert len(changes(near.identity[0])) > 2
    np.testing.assert_array_equal(np.sort(near.identity, axis=0), apart.identity)


def test_identities_break_anywhere_or_at_the_fall() -> None:
    _, broken = people(replace(NOTHING, broken=1.0), falls=60)
    assert all(len(changes(person)) <= 1 for person in broken.identity)
    assert set(np.unique(broken.identity)) <= {1, 2, 11, 12}
    _, fallen = people(replace(NOTHING, fall=1.0), falls=60)
    assert all(abs(changes(person)[0] - 60) <= 7 for person in fallen.identity)


def test_phantoms_and_doubles_are_further_people() -> None:
    _, phantom = people(replace(NOTHING, phantom=1.0), seed=3)
    assert phantom.uv.shape == (3, FRAMES, 17, 2)
    assert phantom.identity[2, 0] == 3
    assert np.ptp(phantom.uv[2].mean(1), axis=0).max() < 20
    uv, double = people(replace(NOTHING, double=1.0))
    assert double.uv.shape[0] == 4
    assert len(np.unique(double.identity)) == 4
    assert np.abs(double.uv[2:] - uv).max() < 20
    seen = (double.score[2:] > 0).any(-1).mean(-1)
    assert (seen < 0.5).all()
    assert (seen > 0).all()
