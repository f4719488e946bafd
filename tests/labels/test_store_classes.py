"""Classes are renamed and merged in what is read; what people said stays as they said it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.labels.stores import draft, filled
from vigil.errors import InputError
from vigil.labels.classes import ClassCount
from vigil.labels.store import LabelStore
from vigil.labels.votes import Kind


def said(store: LabelStore) -> list[str]:
    with store._database.reading() as connection:
        return list(connection.execute(text("SELECT label FROM votes ORDER BY vote_id")).scalars())


def test_a_preview_counts_what_stands_and_changes_nothing(store: LabelStore) -> None:
    one, two, three, four = filled(store)
    store.cast([draft(one, "normal")])
    store.cast([draft(one, "push"), draft(two, "push"), draft(three, "hit"), draft(four, "faint")])
    assert store.rename_preview({"push": "assault", "hit": "assault"}) == [
        ClassCount("assault", 0, 3),
        ClassCount("faint", 1, 1),
        ClassCount("hit", 1, 0),
        ClassCount("push", 2, 0),
    ]
    assert [vote.label for vote in store.votes([two])] == ["push"]
    assert "rename" not in {row.action for row in store.audit()}


def test_classes_merge_in_votes_suggestions_and_gold_but_not_in_the_rows(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one, "push", suggested="hit"), draft(two, "hit")])
    store.set_gold(one, "hit", "boss")
    store.rename({"push": "assault", "hit": "assault"}, "boss")
    votes = store.votes()
    assert [vote.label for vote in votes] == ["assault", "assault"]
    assert votes[0].suggested == "assault"
    assert store.gold() == {one: "assault"}
    assert said(store) == ["push", "hit"]
    assert store.audit()[0].action == "rename"


def test_a_name_said_after_the_rename_means_what_it_says(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one, "fall")])
    store.rename({"fall": "faint"}, "boss")
    store.cast([draft(two, "fall")])
    assert [vote.label for vote in store.votes()] == ["faint", "fall"]
    store.rename({"fall": "slip", "faint": "collapse"}, "boss")
    assert [vote.label for vote in store.votes()] == ["collapse", "slip"]


def test_two_classes_can_change_their_names(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one, "a"), draft(two, "b")])
    store.rename({"a": "b", "b": "a"}, "boss")
    assert [vote.label for vote in store.votes()] == ["b", "a"]


def test_an_undo_after_a_rename_still_finds_its_vote(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, None, kind=Kind.UNSURE)])
    store.cast([draft(one, "a")])
    store.rename({"a": "b"}, "boss")
    store.undo("kim", "u1")
    assert [(vote.kind, vote.label) for vote in store.votes(standing=True)] == [(Kind.UNSURE, None)]


@pytest.mark.parametrize("mapping", [{}, {"a": "a"}, {"a": ""}, {"": "a"}, {"a": "b\x00"}])
def test_a_rename_that_says_nothing_is_refused(store: LabelStore, mapping: dict[str, str]) -> None:
    with pytest.raises(InputError, match="expected"):
        store.rename(mapping, "boss")
    with pytest.raises(InputError, match="expected"):
        store.rename_preview(mapping)
