"""Drift: chance raises no alarm, and what drifted is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.watching.served import CLASSES, DRIFT, Values, population, reference, seen
from vigil.config import DriftSection
from vigil.errors import InputError
from vigil.watching.drift import Finding, compare
from vigil.watching.reference import Reference


def judged(before: Values, now: Values, params: DriftSection = DRIFT) -> dict[str, Finding]:
    found = compare(reference(before).rows, seen(now), CLASSES, params)
    return {one.feature: one for one in found}


def test_the_same_cameras_raise_no_more_alarms_than_the_level_says() -> None:
    false, chance = 0, DRIFT.model_copy(update={"warn": 1e-9, "alarm": 1e-9})  # the limit alone
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = judged(population(rng, 40), population(rng, 20), chance)
        false += any(one.state == "alarm" for one in found.values())
    assert false <= 7  # 3 expected at 5 %; more than 7 of 60 has a chance of 1 %


def unsure(now: Values) -> None:
    now["keypoint_confidence"] *= 0.7


def crowded(now: Values) -> None:
    now["persons"] *= 2


def violent(now: Values) -> None:
    now["class"][: len(now["class"]) * 4 // 5] = 1


@pytest.mark.parametrize(
    ("plant", "feature"),
    [(unsure, "keypoint_confidence"), (crowded, "persons"), (violent, "class")],
)
def test_names_the_feature_that_drifted(plant: Callable[[Values], None], feature: str) -> None:
    rng = np.random.default_rng(1)
    before, now = population(rng, 40), population(rng, 20)
    plant(now)
    alarms = [name for name, one in judged(before, now).items() if one.state == "alarm"]
    assert alarms == [feature]


def test_a_few_windows_are_not_judged() -> None:
    rng = np.random.default_rng(2)
    now = population(rng, 2)
    unsure(now)
    assert {one.state for one in judged(population(rng, 40), now).values()} == {"too few"}


def test_a_reference_of_a_few_videos_judges_nothing() -> None:
    rng = np.random.default_rng(3)
    now = population(rng, 20)
    unsure(now)
    assert {one.state for one in judged(population(rng, 4), now).values()} == {"too few"}


def test_what_the_reference_never_saw_is_not_compared() -> None:
    rng = np.random.default_rng(4)
    before = population(rng, 20)
    before["persons"][:] = np.nan
    assert "persons" not in judged(before, population(rng, 20))


def test_a_reference_is_read_as_it_was_written_and_nothing_else_is(tmp_path: Path) -> None:
    whole = reference(population(np.random.default_rng(0), 10))
    path = tmp_path / "protogcn.json"
    whole.write(path)
    assert Reference.read(path) == whole
    path.write_text(path.read_text().replace('"edges":[', '"edges":[0.0,', 1))
    with pytest.raises(InputError, match="expected a reference"):
        Reference.read(path)
