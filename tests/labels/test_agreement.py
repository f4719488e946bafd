"""Agreement against published examples, scikit-learn, and what is not defined."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.ballots import vote
from vigil.labels.agreement import agreement
from vigil.labels.kappa import cohen, fleiss
from vigil.labels.votes import Kind, Source, Vote

# Ten subjects, fourteen raters, five categories: kappa 0.210.
FLEISS_TEN = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
# Fleiss (1971): 30 patients, six psychiatrists, five diagnoses: kappa 0.430.
FLEISS_1971 = [
    [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
    [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
    [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
    [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
    [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
    [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
]  # fmt: skip
# Krippendorff (2011) and Gwet (2014), with missing ratings: Fleiss' kappa 0.76117.
FOUR_RATERS = [
    "11.1", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", ".555", "..11", "..3.",
]  # fmt: skip


def kappa_of(counts: Sequence[Sequence[float]]) -> float:
    return float(fleiss(np.array(counts, float), np.ones((1, len(counts))))[0])


def test_fleiss_kappa_of_published_examples() -> None:
    assert kappa_of(FLEISS_TEN) == pytest.approx(0.210, abs=5e-4)
    assert kappa_of(FLEISS_1971) == pytest.approx(0.430, abs=5e-4)


def test_fleiss_kappa_with_varying_numbers_of_raters() -> None:
    counts = [[row.count(str(k)) for k in range(1, 6)] for row in FOUR_RATERS]
    assert kappa_of(counts) == pytest.approx(0.76117, abs=5e-6)


def test_fleiss_kappa_of_each_diagnosis() -> None:
    classes = ["depression", "personality", "schizophrenia", "neurosis", "other"]
    votes = [
        vote(f"p{row}", f"r{rater}", classes[k])
        for row, counts in enumerate(FLEISS_1971)
        for rater, k in enumerate(np.repeat(np.arange(5), counts))
    ]
    found = agreement(votes, classes, resamples=50).independent
    published = [0.245, 0.245, 0.520, 0.471, 0.566]
    assert [found.per_class[name].value for name in classes] == pytest.approx(published, abs=5e-4)
    assert found.fleiss.value == pytest.approx(0.430, abs=5e-4)
    assert found.fleiss.n == found.shared == 30


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[20, 5], [10, 15]], 0.4),  # 50 grant proposals, two readers
        ([[45, 15], [25, 15]], 0.1304),  # the same agreement of 60 %, by chance
        ([[25, 35], [5, 35]], 0.2593),  # and with other margins
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.4915),  # 200 patients, Cohen (1960), in counts
    ],
)
def test_cohen_kappa_of_published_examples(table: list[list[int]], expected: float) -> None:
    size = len(table)
    pairs = [(i, j) for i in range(size) for j in range(size) for _ in range(table[i][j])]
    first, second = np.array(pairs, np.intp).T
    found = cohen(first, second, size, np.ones((1, len(pairs))))
    assert float(found[0]) == pytest.approx(expected, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_cohen_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    from sklearn.metrics import cohen_kappa_score

    first, second = np.array(pairs, np.intp).T
    found = float(cohen(first, second, 3, np.ones((1, len(pairs))))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = float(cohen_kappa_score(first, second, labels=[0, 1, 2]))
    assert found == pytest.approx(expected, nan_ok=True)


def cast(first: str, second: str, **more: object) -> list[Vote]:
    return [
        vote(f"c{i}", who, label, **more)
        for who, labels in (("kim", first), ("lee", second))
        for i, label in enumerate(labels)
    ]


def test_an_interval_holds_its_figure_and_is_the_same_each_time() -> None:
    votes = cast("xxxyyyxyxyzz", "xxyyyyxyxxzz")
    found = agreement(votes, "xyz", {f"c{i}": "x" for i in range(5)})
    pair = found.independent.pairs["kim", "lee"]
    assert pair.value is not None
    assert pair.low is not None
    assert pair.high is not None
    assert pair.low < pair.value < pair.high
    assert found == agreement(reversed(votes), "xyz", {f"c{i}": "x" for i in range(5)})
    assert found != agreement(votes, "xyz", {f"c{i}": "x" for i in range(5)}, seed=1)
    right = found.independent.on_gold["kim"].accuracy
    assert (right.value, right.n) == (0.6, 5)


def test_what_is_not_defined_is_none() -> None:
    assert agreement([], "xy").independent.fleiss.value is None
    alike = agreement(cast("xxx", "xxx"), "xy", {"elsewhere": "x"}).independent
    assert alike.pairs["kim", "lee"].value is None, "one class only"
    assert alike.on_gold["kim"].accuracy.value is None, "no gold clip judged"
    assert alike.per_class["y"].value is None
    once = agreement([vote("c", "kim", "x")], "xy", {"c": "x"}).independent
    assert once.fleiss.value is None
    assert once.pairs == {}
    gold = once.on_gold["kim"].accuracy
    assert (gold.value, gold.low, gold.n) == (1.0, None, 1), "no interval from one clip"


def test_ballots_that_accepted_a_suggestion_are_reported_apart() -> None:
    votes = [*cast("xyx", "yyx"), vote("c9", "kim", "x", source=Source.ACCEPTED),
             vote("c9", "lee", "x", source=Source.ACCEPTED_PAGE)]  # fmt: skip
    found = agreement(votes, "xy")
    assert found.accepted == 2
    assert found.independent.pairs["kim", "lee"].n == 3
    assert found.everything.pairs["kim", "lee"].n == 4


def test_only_standing_labels_count() -> None:
    votes = [*cast("xy", "xy"), vote("c0", "kim", "y"), vote("c1", "lee", "x", Kind.UNSURE),
             vote("c0", "boss", "y", Kind.ADJUDICATE), vote("c0", "lee", "old name")]  # fmt: skip
    found = agreement(votes, "xy").independent
    assert found.ballots == 2, "kim's newest two; lee is unsure of one and names no class in one"


def test_a_pair_of_confused_classes_has_a_low_kappa() -> None:
    found = agreement(cast("xyxyzzzz", "yxyxzzzz"), "xyz").independent.class_pairs
    assert found["x", "y"].value == pytest.approx(-1.0)
    assert found["x", "z"].value is not None
    assert found["x", "z"].value > 0.5
