"""Each clip goes to k annotators and no more, in the order asked for, gold clips among them."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from tests.labels.stores import clips, draft, filled
from vigil.labels.store import LabelStore
from vigil.labels.tables import LeaseTable
from vigil.labels.votes import Kind


def given(store: LabelStore, annotator: str, n: int, **more: object) -> list[str]:
    rows = store.assign(annotator, n, **more)  # type: ignore[arg-type]
    return [row.clip.clip_id for row in rows]


def expire(store: LabelStore) -> None:
    with store._database.writing() as connection:
        connection.execute(update(LeaseTable).values(until=0.0))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_each_clip_goes_to_k_annotators(store: LabelStore, k: int) -> None:
    ids = filled(store, clips(10))
    store.set_setting("k", k, "boss")
    taken = [clip for name in "abcd" for clip in given(store, name, 10)]
    assert sorted(taken) == sorted(ids * k)


def test_what_was_given_comes_back_in_its_order_until_it_is_voted_on(store: LabelStore) -> None:
    filled(store, clips(10))
    first = given(store, "kim", 4)
    assert first != sorted(first)
    assert given(store, "kim", 4) == first
    store.cast([draft(first[0])])
    again = given(store, "kim", 4)
    assert again[:3] == first[1:]
    assert again[3] not in first


def test_what_takes_several_queries_comes_back_in_its_order_too(store: LabelStore) -> None:
    filled(store, clips(700))
    first = given(store, "kim", 600)
    assert given(store, "kim", 600) == first


def test_a_lease_ends_so_that_a_closed_tab_holds_nobody_up(store: LabelStore) -> None:
    ids = filled(store)
    assert len(given(store, "kim", 9)) == len(ids)
    assert given(store, "lee", 9) == []
    expire(store)
    assert sorted(given(store, "lee", 9)) == sorted(ids)
    assert given(store, "kim", 9) == []


def test_k_may_rise_and_fall_at_any_time(store: LabelStore) -> None:
    ids = filled(store)
    store.cast([draft(clip) for clip in ids])
    assert given(store, "lee", 9) == []
    store.set_setting("k", 2, "boss")
    assert sorted(given(store, "lee", 2)) != []
    store.set_setting("k", 1, "boss")
    assert given(store, "park", 9) == []


def test_an_undone_or_stale_vote_covers_nothing(store: LabelStore) -> None:
    one, two, *_ = filled(store, clips(2))
    store.cast([draft(one)])
    store.cast([draft(two)])
    store.undo("kim", "u1")
    assert given(store, "lee", 9) == [two]
    expire(store)
    store.sync_clips(clips(2), {"cam1": "other bytes"})
    assert sorted(given(store, "kim", 9)) == [one, two]


def test_what_a_reviewer_decided_is_given_to_nobody(store: LabelStore) -> None:
    one, two = filled(store, clips(2))
    store.cast([draft(one, by="boss", kind=Kind.ADJUDICATE)])
    assert given(store, "kim", 9) == [two]


def test_retired_clips_are_given_to_nobody(store: LabelStore) -> None:
    filled(store, clips(3))
    store.sync_clips(clips(1), {"cam1": "hash of cam1"})
    assert given(store, "kim", 9) == ["cam1@0-4000"]


def test_scores_order_the_queue_and_clips_without_come_last(store: LabelStore) -> None:
    ids = filled(store)
    scores = {ids[2]: 0.9, ids[0]: 0.5, ids[3]: -1.0}
    assert given(store, "kim", 9, order="uncertainty", scores=scores) == [
        ids[2], ids[0], ids[3], ids[1]
    ]  # fmt: skip


def test_chance_differs_between_people_and_not_between_calls(store: LabelStore) -> None:
    filled(store, clips(30))
    store.set_setting("k", 3, "boss")
    kim, lee = given(store, "kim", 30), given(store, "lee", 30)
    assert sorted(kim) == sorted(lee)
    assert kim != lee
    expire(store)
    assert given(store, "kim", 30) == kim


def test_gold_clips_are_mixed_in_for_everybody_and_look_like_others(store: LabelStore) -> None:
    ids = filled(store, clips(200))
    golden = set(ids[:60])
    for clip in golden:
        store.set_gold(clip, "faint", "boss")
    store.set_setting("gold_share", 0.2, "boss")
    kim, lee = given(store, "kim", 80), given(store, "lee", 80)
    places = [[n for n, clip in enumerate(got) if clip in golden] for got in (kim, lee)]
    assert all(6 <= len(some) <= 28 for some in places)
    assert places[0] != places[1]
    assert not set(kim) & set(lee) - golden
    (row,) = store.assign("park", 1)
    assert set(vars(row)) == {"key", "clip", "fingerprint", "retired"}


def test_gold_clips_come_once_to_each_and_never_alone(store: LabelStore) -> None:
    ids = filled(store, clips(10))
    store.set_gold(ids[0], "faint", "boss")
    store.set_setting("gold_share", 0.5, "boss")
    got = given(store, "kim", 10)
    store.cast([draft(clip) for clip in got])
    assert got.count(ids[0]) <= 1
    assert given(store, "kim", 10) == []


def test_people_who_ask_at_once_get_no_clip_twice(store: LabelStore) -> None:
    filled(store, clips(60))
    got: dict[str, list[str]] = {}

    def ask(name: str) -> None:
        got[name] = given(store, name, 10)

    threads = [threading.Thread(target=ask, args=(f"p{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [clip for some in got.values() for clip in some]
    assert len(taken) == len(set(taken)) == 60


def test_progress_counts_what_is_done_and_what_is_mine(store: LabelStore) -> None:
    ids = filled(store, [*clips(3), *clips(2, "cam2")])
    store.set_setting("k", 2, "boss")
    store.cast([draft(ids[0]), draft(ids[1]), draft(ids[0], by="lee")])
    store.cast([draft(ids[3], by="boss", kind=Kind.ADJUDICATE)])
    now = store.progress("kim")
    assert {video: (row.mine, row.done) for video, row in now.items()} == {
        "cam1": (2, 1),
        "cam2": (0, 1),
    }
