"""Consensus of votes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labels.ballots import undo, vote
from vigil.labels.consensus import Rule, State, counts, settle
from vigil.labels.standing import standing
from vigil.labels.votes import Kind, Vote


def verdict(
    votes: list[Vote], rule: Rule = "majority", min_votes: int = 1
) -> tuple[str | None, State]:
    found = settle(votes, rule, min_votes, ["c"])["c"]
    return found.label, found.state


def ballots(*labels: str) -> list[Vote]:
    kinds = {"?": Kind.UNSURE, "-": Kind.SKIP}
    return [
        vote("c", f"a{i}", None if name in kinds else name, kinds.get(name, Kind.LABEL))
        for i, name in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("labels", "rule", "least", "label", "state"),
    [
        ("", "majority", 1, None, State.UNLABELED),
        ("x", "majority", 1, "x", State.AGREED),
        ("x", "majority", 2, None, State.PARTIAL),
        ("xy", "majority", 1, None, State.DISPUTED),
        ("xxy", "majority", 1, "x", State.AGREED),
        ("xxyyz", "majority", 1, None, State.DISPUTED),
        ("x?", "majority", 1, "x", State.AGREED),
        ("x?", "majority", 2, None, State.DISPUTED),
        ("?", "majority", 1, None, State.DISPUTED),
        ("-", "majority", 1, None, State.SKIPPED),
        ("--", "majority", 2, None, State.SKIPPED),
        ("-", "majority", 2, None, State.PARTIAL),
        ("x-", "majority", 1, "x", State.AGREED),
        ("xx", "unanimous", 2, "x", State.AGREED),
        ("xxy", "unanimous", 2, None, State.DISPUTED),
        ("xx?", "unanimous", 2, None, State.DISPUTED),
        ("yxx", "first", 1, "y", State.AGREED),
        ("?yx", "first", 1, "y", State.AGREED),
        ("y", "first", 2, None, State.PARTIAL),
    ],
)
def test_each_rule_settles_as_documented(
    labels: str, rule: Rule, least: int, label: str | None, state: State
) -> None:
    assert verdict(ballots(*labels), rule, least) == (label, state)


def test_an_adjudication_stands_above_ballots_before_and_after_it() -> None:
    votes = [*ballots("x", "x"), vote("c", "boss", "y", Kind.ADJUDICATE), vote("c", "late", "x")]
    assert verdict(votes) == ("y", State.ADJUDICATED)
    assert settle(votes, "majority", 1)["c"].support == (votes[2],)
    votes.append(vote("c", "other boss", "z", Kind.ADJUDICATE))
    assert verdict(votes) == ("z", State.ADJUDICATED), "the newest one stands"


def test_an_adjudication_without_a_label_leaves_the_clip_out() -> None:
    votes = [*ballots("x", "y"), vote("c", "boss", None, Kind.ADJUDICATE)]
    assert verdict(votes) == (None, State.ADJUDICATED)


def test_a_reviewers_ballot_and_adjudication_are_apart() -> None:
    decision = vote("c", "boss", "y", Kind.ADJUDICATE)
    ballot = vote("c", "boss", "x")
    assert verdict([decision, ballot]) == ("y", State.ADJUDICATED)
    assert verdict([decision, ballot, undo(decision)]) == ("x", State.AGREED)


def test_undo_lets_the_vote_before_stand_and_redo_the_vote_itself() -> None:
    first, second = vote("c", "a", "x"), vote("c", "a", "y")
    assert verdict([first, second]) == ("y", State.AGREED)
    back = undo(second)
    assert verdict([first, second, back]) == ("x", State.AGREED)
    assert verdict([first, second, back, undo(back)]) == ("y", State.AGREED)


def test_a_verdict_is_stale_when_its_label_rests_on_a_stale_vote() -> None:
    old, new = vote("c", "a", "x", stale=True), vote("c", "b", "y")
    fresh = [new, vote("c", "d", "y")]
    assert settle([old], "majority", 1)["c"].stale
    assert not settle([old, *fresh], "majority", 1)["c"].stale, "y rests on fresh votes"
    assert not settle([old, vote("c", "a", "x")], "majority", 1)["c"].stale, "the same one again"


def test_states_are_counted_with_zeros() -> None:
    found = counts(settle(ballots("x"), "majority", 1, ["c", "d"]).values())
    assert found[State.AGREED] == found[State.UNLABELED] == 1
    assert found[State.DISPUTED] == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), min_size=1), st.randoms())
def test_the_order_of_reading_changes_nothing(
    cast: list[tuple[str, str]], rng: random.Random
) -> None:
    votes = [vote("c", who, label) for who, label in cast]
    newest = dict(cast)
    tally = Counter(newest.values())
    expected = None if tally["x"] == tally["y"] else max(tally, key=lambda name: tally[name])
    shuffled = list(votes)
    rng.shuffle(shuffled)
    assert verdict(shuffled)[0] == expected
    assert standing(standing(shuffled)) == standing(votes)
