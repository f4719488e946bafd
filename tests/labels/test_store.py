"""The store keeps every vote once, for good, and says what stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.labels.stores import clips, draft, filled
from vigil.errors import Conflict, InputError, NotFound
from vigil.labels.store import LabelStore
from vigil.labels.votes import Kind, Source


def test_a_vote_comes_back_as_it_was_cast(store: LabelStore) -> None:
    one, *_ = filled(store)
    said = draft(one, "faint", start_s=1.5, end_s=2.25, track_ids=(3, 7), suggested="normal",
                 seconds=0.75, source=Source.ACCEPTED)  # fmt: skip
    (vote,) = store.cast([said])
    assert store.votes() == [vote]
    assert {name: getattr(vote, name) for name in vars(said)} == vars(said)
    assert vote.vote_id > 0
    assert vote.voted_at.endswith("+00:00")
    assert not vote.stale


def test_the_same_token_again_is_the_same_vote(store: LabelStore) -> None:
    one, *_ = filled(store)
    said = draft(one)
    assert store.cast([said]) == store.cast([said])
    assert len(store.votes()) == 1
    assert [row.action for row in store.audit()] == ["cast", "sync"]


def test_a_token_of_another_vote_is_refused(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    said = draft(one)
    store.cast([said])
    for other in (replace(said, annotator="lee"), replace(said, clip_id=two),
                  replace(said, label="normal")):  # fmt: skip
        with pytest.raises(Conflict):
            store.cast([other])
    assert len(store.votes()) == 1


def test_a_call_is_saved_whole_or_not_at_all(store: LabelStore) -> None:
    one, *_ = filled(store)
    with pytest.raises(NotFound, match="cam9"):
        store.cast([draft(one), draft("cam9@0-4000")])
    assert store.votes() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": Kind.RETRACT},
        {"retracts": 1},
        {"label": None},
        {"label": "  "},
        {"kind": Kind.ADJUDICATE, "label": None},
        {"kind": Kind.SKIP, "label": None},
        {"start_s": float("nan")},
        {"seconds": float("inf")},
        {"start_s": 2.0, "end_s": 2.0},
        {"start_s": -1.0},
        {"track_ids": (1, 1)},
        {"track_ids": (-1,)},
        {"track_ids": ("1; DROP TABLE votes",)},
        {"label": "nul\x00"},
        {"reason": "half a letter \ud800"},
        {"label": "x" * 201},
        {"token": ""},
        {"annotator": ""},
        {"kind": "shout"},
    ],
    ids=str,
)
def test_a_vote_that_nobody_could_read_is_refused(store: LabelStore, changes: dict) -> None:
    one, *_ = filled(store)
    with pytest.raises(InputError, match="expected"):
        store.cast([replace(draft(one), **changes)])
    assert store.votes() == []


@pytest.mark.parametrize(
    "label",
    ["<script>alert(1)</script>", "'; DROP TABLE votes; --", '"quoted"', "🥊 싸움", "쓰러짐"],
)
def test_any_name_of_a_class_is_kept_letter_by_letter(store: LabelStore, label: str) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, label, by="김<b>", reason=label)])
    (vote,) = store.votes(annotator="김<b>", standing=True)
    assert (vote.label, vote.reason) == (label, label)


def test_the_newest_vote_of_each_annotator_stands(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one, "normal")])
    store.cast([draft(one, "faint", by="lee")])
    store.cast([draft(one, "assault")])
    store.cast([draft(two, None, kind=Kind.SKIP, reason="broken")])
    store.cast([draft(one, "faint", kind=Kind.ADJUDICATE)])
    stand = [(v.clip_id, v.annotator, v.kind.value, v.label) for v in store.votes(standing=True)]
    assert stand == [
        (one, "lee", "label", "faint"),
        (one, "kim", "label", "assault"),
        (two, "kim", "skip", None),
        (one, "kim", "adjudicate", "faint"),
    ]
    assert len(store.votes()) == 5
    assert len(store.votes([one], "kim")) == 3


def test_undo_takes_back_a_whole_action_and_redo_brings_it_again(store: LabelStore) -> None:
    one, two, three, _ = filled(store)
    store.cast([draft(one, "normal")])
    store.cast([draft(two, source=Source.PAGE), draft(three, source=Source.PAGE)])
    gone = store.undo("kim", "u1")
    assert {vote.clip_id for vote in gone} == {two, three}
    assert store.undo("kim", "u1") == gone
    assert [vote.clip_id for vote in store.votes(standing=True)] == [one]
    assert len(store.undo("kim", "u2")) == 1
    assert store.undo("kim", "u3") == []
    assert [vote.clip_id for vote in store.redo("kim", "r1")] == [one]
    assert len(store.redo("kim", "r2")) == 2
    assert store.redo("kim", "r3") == []
    assert len(store.votes(standing=True)) == 3
    assert len(store.undo("kim", "u4")) == 2


def test_nothing_is_redone_after_another_decision(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one)])
    store.undo("kim", "u1")
    store.cast([draft(two)])
    assert store.redo("kim", "r1") == []
    store.undo("kim", "u2")
    assert [vote.clip_id for vote in store.redo("kim", "r2")] == [two]
    assert store.redo("kim", "r3") == []


def test_undo_touches_nobody_elses_votes_and_no_import(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.cast([draft(one, by="lee")])
    store.cast([draft(two, source=Source.IMPORTED)])
    assert store.undo("kim", "u1") == []
    store.undo("lee", "u2")
    with pytest.raises(Conflict):
        store.undo("kim", "u2")
    with pytest.raises(Conflict):
        store.redo("lee", "u2")
    assert [vote.annotator for vote in store.votes(standing=True)] == ["kim"]


def test_an_earlier_vote_stands_again_when_the_newer_one_is_undone(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "normal")])
    store.cast([draft(one, "assault")])
    store.undo("kim", "u1")
    assert [vote.label for vote in store.votes(standing=True)] == ["normal"]


def test_two_people_on_one_clip_keep_both_votes(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one, "normal", by="kim")])
    store.cast([draft(one, "assault", by="lee")])
    assert [vote.label for vote in store.votes(standing=True)] == ["normal", "assault"]


def test_keys_are_opaque_and_stay(store: LabelStore) -> None:
    filled(store)
    rows = store.clips("cam1")
    (video,) = store.videos()
    assert len({row.key for row in rows} | {video.key}) == 5
    assert all(len(row.key) == 16 and int(row.key, 16) >= 0 for row in rows)
    assert (video.video_id, video.n_clips, video.duration_s) == ("cam1", 4, 16.0)
    filled(store, clips(6))
    assert store.clips("cam1")[:4] == rows
    assert store.clip_by_key(rows[2].key) == rows[2]
    assert store.video_by_key(video.key).n_clips == 6
    for ask in (store.clip_by_key, store.video_by_key):
        with pytest.raises(NotFound):
            ask("../../etc/passwd")


def test_settings_are_checked_and_survive(store: LabelStore) -> None:
    assert store.setting("k") == 1
    store.set_setting("k", 3, "boss")
    assert store.setting("k") == 3
    for name, value in (
        ("k", 0),
        ("order", "alphabet"),
        ("no_such", 1),
        ("database", "x"),
        ("publish", "x"),
    ):
        with pytest.raises(InputError, match="setting"):
            store.set_setting(name, value, "boss")
    (row, *_) = store.audit()
    assert (row.actor, row.action) == ("boss", "setting")
    assert row.detail == {"name": "k", "before": 1, "after": 3}


def test_gold_is_set_and_taken_away(store: LabelStore) -> None:
    one, two, *_ = filled(store)
    store.set_gold(one, "faint", "boss")
    store.set_gold(two, "normal", "boss")
    store.set_gold(one, None, "boss")
    assert store.gold() == {two: "normal"}
    with pytest.raises(NotFound):
        store.set_gold("nowhere", "faint", "boss")
    assert [row.action for row in store.audit(limit=3)] == ["gold"] * 3
