"""Motion statistics see speed and nearness, in units of the body."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.skeletons import annotation
from vigil.errors import InputError
from vigil.motion_baseline import FEATURES, features, fit_predict


def named(row: dict[str, Any]) -> dict[str, float]:
    return dict(zip(FEATURES, features(row), strict=True))


def test_speed_tells_fast_from_slow_and_ignores_the_distance_to_the_camera() -> None:
    slow, fast = named(annotation(0, 0)), named(annotation(0, 1))
    assert fast["mean_speed"] > 2 * slow["mean_speed"]
    far = annotation(0, 1)
    far["keypoint"] = far["keypoint"] / 3 + 50
    assert named(far)["mean_speed"] == pytest.approx(fast["mean_speed"], rel=0.02)


def test_nearness_is_in_body_extents() -> None:
    row = annotation(0, 0)
    near = named(row)["mean_distance"]
    row["keypoint"] = row["keypoint"].copy()
    row["keypoint"][1, ..., 0] += 139.0
    assert named(row)["mean_distance"] == pytest.approx(near + 1.0, abs=0.1)


def test_a_fall_is_seen() -> None:
    row = annotation(0, 0)
    lying = row["keypoint"].copy()
    center = lying[0, 12:].mean((0, 1))
    lying[0, 12:] = (lying[0, 12:] - center)[..., ::-1] + center + np.array([0.0, 60.0])
    upright, fallen = named(row), named(row | {"keypoint": lying})
    assert fallen["fall"] > upright["fall"] + 0.3
    assert fallen["flattest"] > upright["flattest"] * 1.5


@pytest.mark.parametrize("persons", [0, 1])
def test_lonely_and_empty_clips_have_finite_statistics(persons: int) -> None:
    row = annotation(0, 1)
    row["keypoint"], row["keypoint_score"] = (
        row["keypoint"][:persons], row["keypoint_score"][:persons]
    )  # fmt: skip
    assert np.isfinite(features(row)).all()


def test_the_baseline_learns_and_gives_probabilities() -> None:
    rows = [annotation(i, i % 2) for i in range(20)]
    found = fit_predict(rows[:12], rows[12:], 3)
    np.testing.assert_allclose(found.sum(1), 1.0)
    assert found[:, 2].max() == 0, "a class never seen has probability 0"
    assert (found.argmax(1) == [row["label"] for row in rows[12:]]).all()
    with pytest.raises(InputError, match="two classes"):
        fit_predict([rows[0], rows[2]], rows, 2)
