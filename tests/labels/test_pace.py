"""Progress and pace count what stands, and tell nothing where nothing can be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from vigil.labels.pace import progress
from vigil.labels.votes import Kind, Vote

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def vote(
    number: int, clip: str, who: str = "ann", ago_s: float = 0.0, kind: Kind = Kind.LABEL,
    retracts: int | None = None, seconds: float | None = None,
) -> Vote:  # fmt: skip
    at = (NOW - timedelta(seconds=ago_s)).isoformat()
    return Vote(f"t{number}", clip, who, kind, "normal", vote_id=number, voted_at=at,
                retracts=retracts, seconds=seconds)  # fmt: skip


def test_without_votes_no_time_is_told() -> None:
    found = progress([], ["a", "b"], 2, NOW)
    assert (found.wanted, found.cast, found.people, found.hours_left) == (4, 0, (), None)


def test_a_clip_counts_at_most_k_votes_and_a_retracted_one_none() -> None:
    votes = [
        vote(1, "a"), vote(2, "a", "bob"), vote(3, "a", "eve"), vote(4, "b"),
        vote(5, "b", kind=Kind.RETRACT, retracts=4), vote(6, "gone"),
    ]  # fmt: skip
    found = progress(votes, ["a", "b"], 2, NOW)
    assert (found.wanted, found.cast) == (4, 2)
    assert {one.name: one.clips for one in found.people} == {"ann": 1, "bob": 1, "eve": 1}


def test_a_decision_of_a_reviewer_is_no_vote_of_the_queue() -> None:
    found = progress([vote(1, "a", "rita", kind=Kind.ADJUDICATE)], ["a"], 1, NOW)
    assert (found.cast, found.people) == (0, ())


def test_pace_leaves_pauses_out_and_the_rest_is_told_from_the_last_hour() -> None:
    times = [7200, 3000, 2997, 2994, 2991, 2988, 2985]
    votes = [vote(n, f"c{n}", ago_s=ago, seconds=2.0 + n) for n, ago in enumerate(times, 1)]
    found = progress(votes, [f"c{n}" for n in range(1, 20)], 1, NOW)
    (ann,) = found.people
    assert ann.per_hour == pytest.approx(1200)
    assert ann.last_hour == 6
    assert ann.seconds == 6.0
    assert found.hours_left == pytest.approx(12 / 6)
