"""A vote that was decided before another and arrives after it is kept, and does not stand."""

from __future__ import annotations

from dataclasses import replace

from tests.labels.stores import draft, filled
from vigil.labels.audit import ago
from vigil.labels.late import REASON
from vigil.labels.store import LabelStore
from vigil.labels.votes import Kind


def standing(store: LabelStore) -> list[str | None]:
    return [vote.label for vote in store.votes(standing=True)]


def test_the_newer_decision_stands_whichever_arrives_first(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "newer")])
    old = draft(one, "older", decided_at=ago(60))
    (late,) = store.cast([old])
    assert standing(store) == ["newer"]
    assert [vote.label for vote in store.votes()] == ["newer", "older", None]
    assert (store.votes()[2].retracts, store.votes()[2].reason) == (late.vote_id, REASON)
    assert store.progress("kim")["cam1"].mine == 1
    assert [row.action for row in store.audit(2)] == ["late", "cast"]


def test_a_late_vote_sent_again_is_the_same_vote_once(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "newer")])
    old = draft(one, "older", decided_at=ago(60))
    first = store.cast([old])
    assert store.cast([replace(old, decided_at=ago(59))]) == first
    assert len(store.votes()) == 3


def test_what_one_browser_kept_stands_in_its_order(store: LabelStore) -> None:
    one, *_ = filled(store)
    for label, seconds in (("first", 60), ("second", 50)):
        store.cast([draft(one, label, decided_at=ago(seconds))])
    assert standing(store) == ["second"]
    store.cast([draft(one, "between, elsewhere", decided_at=ago(55))])
    assert standing(store) == ["second"]
    store.cast([draft(one, "after, elsewhere", decided_at=ago(45))])
    assert standing(store) == ["after, elsewhere"]


def test_a_late_vote_does_not_give_way_to_others_nor_to_what_is_undone(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "lee's", by="lee")])
    store.cast([draft(one, "taken back")])
    store.undo("kim", "u1")
    store.cast([draft(one, "older", decided_at=ago(60))])
    assert standing(store) == ["lee's", "older"]


def test_no_key_brings_a_late_vote_back(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "newer")])
    store.cast([draft(one, "older", decided_at=ago(60))])
    assert store.redo("kim", "r1") == []
    assert [vote.retracts for vote in store.undo("kim", "u1")] == [store.votes()[0].vote_id]
    assert standing(store) == []


def test_a_late_decision_gives_way_to_another_reviewer_s(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "newer", by="rita", kind=Kind.ADJUDICATE)])
    store.cast([draft(one, "older", by="rob", kind=Kind.ADJUDICATE, decided_at=ago(60))])
    assert standing(store) == ["newer"]
