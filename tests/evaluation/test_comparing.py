"""A comparison tells a difference from noise, whichever way it goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.scores import CLASSES, scores
from tests.skeletons import config
from vigil.errors import InputError
from vigil.evaluation import Scores
from vigil.evaluation.comparing import METRICS, align, compare, mcnemar, verdict

PARAMS = config().evaluate.model_copy(update={"bootstrap": 500})


def verdicts(first: Scores, second: Scores) -> dict[str, str]:
    first, second = align((first, CLASSES), (second, CLASSES))
    found = compare([first], [second], CLASSES, "normal", PARAMS)
    return {row.metric: row.verdict for row in found}


def test_a_clearly_stronger_run_is_better_and_the_weaker_worse() -> None:
    weak, strong = scores(150, skill=0.5, noise=1), scores(150, skill=4.0, noise=2)
    for metric in ("accuracy", "macro_f1", "auc"):
        assert verdicts(weak, strong)[metric] == "better"
        assert verdicts(strong, weak)[metric] == "worse"


def test_runs_of_equal_skill_differ_within_noise() -> None:
    """Of 40 pairs of equal skill, few may be called different by chance."""
    called = [
        verdicts(scores(90, seed=k, noise=2 * k), scores(90, seed=k, noise=2 * k + 1))["accuracy"]
        for k in range(100, 140)
    ]
    assert called.count("within noise") >= 34


def test_a_run_is_no_different_from_itself() -> None:
    found = compare([scores()], [scores()], CLASSES, "normal", PARAMS)
    assert [row.metric for row in found] == list(METRICS)
    assert {(row.low, row.high, row.verdict) for row in found} == {(0.0, 0.0, "within noise")}


def test_pairing_finds_what_the_two_intervals_alone_hide() -> None:
    """A run that mends a tenth of the clips and breaks none is better beyond noise."""
    first = scores(150, skill=1.0)
    fixed = first.probabilities.copy()
    wrong = np.flatnonzero(first.predicted != first.labels)[:15]
    fixed[wrong] = np.eye(3)[first.labels[wrong]]
    assert verdicts(first, replace(first, probabilities=fixed))["accuracy"] == "better"
    assert mcnemar(first, replace(first, probabilities=fixed)).p_value == pytest.approx(2 * 0.5**15)


def test_of_the_calibration_error_less_is_better() -> None:
    assert verdict("ece", -0.2, -0.1) == "better"
    assert verdict("auc", -0.2, -0.1) == "worse"
    assert verdict("auc", -0.1, 0.2) == "within noise"


def test_clips_are_matched_by_id_not_by_order() -> None:
    s = scores()
    assert set(verdicts(s, s.take(np.arange(60)[::-1])).values()) == {"within noise"}


@pytest.mark.parametrize(
    ("second", "classes", "message"),
    [
        (scores().take(np.arange(59)), CLASSES, "1 that only one run holds, such as v19@59"),
        (scores(), CLASSES[::-1], "expected classes"),
        (replace(scores(), labels=(scores().labels + 1) % 3), CLASSES, "same labels"),
        (scores().take(np.r_[0, np.arange(60)]), CLASSES, "each clip once"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(
    second: Scores, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        align((scores(), CLASSES), (second, classes))


def test_too_few_videos_are_refused() -> None:
    few = scores(12)
    with pytest.raises(InputError, match="at least 5 videos, got 4"):
        align((few, CLASSES), (few, CLASSES))


def lucky(skill: float, noise: int) -> Scores:
    """A training of 240 clips; how well it went depends on its seed."""
    return scores(240, skill=skill, noise=noise)


def test_one_lucky_training_is_not_taken_for_a_better_recipe() -> None:
    """Alone it is better beyond noise; among its recipe's other trainings the recipe is not."""
    first = [lucky(1.0, 1), lucky(1.1, 2), lucky(0.9, 3)]
    second = [lucky(3.0, 4), lucky(1.0, 5), lucky(1.0, 6)]
    alone, together = (
        compare(first[:count], second[:count], CLASSES, "normal", PARAMS) for count in (1, 3)
    )
    for one, several in zip(alone, together, strict=True):
        if one.metric in ("accuracy", "macro_f1", "auc"):
            assert (one.verdict, several.verdict) == ("better", "within noise")


def test_a_recipe_whose_trainings_are_all_better_is_better() -> None:
    first = [lucky(1.0, noise) for noise in (1, 2, 3)]
    second = [lucky(3.0, noise) for noise in (4, 5, 6)]
    found = {row.metric: row for row in compare(first, second, CLASSES, "normal", PARAMS)}
    assert found["auc"].verdict == "better"
    each = [compare([a], [a], CLASSES, "normal", PARAMS)[0].first for a in first]
    assert found["accuracy"].first == pytest.approx(np.mean(each))


def test_the_spread_of_few_trainings_counts_in_full() -> None:
    """Videos alike, trainings with 4, 4, 4 and 8 of each 10 clips right: three of four are drawn.

    Then one draw in 64 takes the best thrice, too few to reach the upper end, which is that of
    taking it twice; of four draws it would be that of taking it three times, 0.7.
    """

    def training(right: int) -> Scores:
        hit = np.arange(60) % 10 < right
        p = np.where(hit[:, None], [0.8, 0.2, 0.0], [0.2, 0.8, 0.0])
        videos, clips = [f"v{i // 10}" for i in range(60)], [str(i) for i in range(60)]
        return Scores(np.zeros(60, np.int64), p, videos, clips, ["hall"] * 60)

    first, second = [training(4)], [training(right) for right in (4, 4, 4, 8)]
    many = PARAMS.model_copy(update={"bootstrap": 4000})
    found = compare(first, second, CLASSES, "normal", many)
    (row,) = [row for row in found if row.metric == "accuracy"]
    assert (row.first, row.second) == (pytest.approx(0.4), pytest.approx(0.5))
    assert (row.low, row.high) == (pytest.approx(0.0), pytest.approx(0.4 * 2 / 3))
