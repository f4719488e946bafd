"""Files into the store and out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.labels.footage import CLASSES, VIDEOS, footage
from tests.labels.stores import draft, filled
from vigil.errors import InputError
from vigil.labels.exchange import Imported, bring_in, records
from vigil.labels.formats import FORMATS
from vigil.labels.formats.records import Record
from vigil.labels.store import LabelStore
from vigil.labels.votes import Kind, Source

FOOTAGE = footage()
CLIPS = FOOTAGE.videos[VIDEOS[0]]
Write = Callable[[list[Record]], Path]


@pytest.fixture
def write(tmp_path: Path, store: LabelStore) -> Write:
    filled(store, list(FOOTAGE.clips.values()))

    def to_csv(found: list[Record]) -> Path:
        FORMATS["csv"].export(tmp_path / "x.csv", found, FOOTAGE)
        return tmp_path / "x.csv"

    return to_csv


def bring(store: LabelStore, path: Path, by: str | None = None) -> Imported:
    return bring_in(store, FORMATS["csv"], path, FOOTAGE, by)


def test_imported_votes_are_marked_and_named(store: LabelStore, write: Write) -> None:
    found = [Record(CLIPS[0], CLASSES[4], Kind.LABEL, "lee", "", 1.0, 2.0, (7, 1)),
             Record(CLIPS[1], None, Kind.SKIP, "kim")]  # fmt: skip
    assert bring(store, write(found)) == Imported(2, 0, ("kim", "lee"))
    first, second = store.votes()
    assert (first.label, first.start_s, first.track_ids) == (CLASSES[4], 1.0, (1, 7))
    assert {first.source, second.source} == {Source.IMPORTED}
    assert second.reason == "imported"


def test_an_import_never_overwrites(store: LabelStore, write: Write) -> None:
    (mine,) = store.cast([draft(CLIPS[0].clip_id, CLASSES[1], by="kim")])
    path = write([Record(CLIPS[0], CLASSES[0]), Record(CLIPS[1], CLASSES[0])])
    assert bring(store, path, "kim") == Imported(1, 1, ("kim",))
    assert bring(store, path, "lee") == Imported(2, 0, ("lee",))
    standing = store.votes([CLIPS[0].clip_id], "kim", standing=True)
    assert standing == [mine]


def test_the_same_file_again_adds_nothing(store: LabelStore, write: Write) -> None:
    path = write([Record(CLIPS[0], CLASSES[0]), Record(CLIPS[1], CLASSES[1])])
    assert bring(store, path, "kim").added == 2
    assert bring(store, path, "kim") == Imported(0, 2, ("kim",))
    assert len(store.votes()) == 2


def test_a_decision_of_another_store_is_a_label_here(store: LabelStore, write: Write) -> None:
    bring(store, write([Record(CLIPS[0], CLASSES[0], Kind.ADJUDICATE, "boss")]))
    assert store.votes()[0].kind is Kind.LABEL


def test_a_judgment_without_a_name_is_refused_and_nothing_added(
    store: LabelStore, write: Write
) -> None:
    path = write([Record(CLIPS[0], CLASSES[0], annotator="kim"), Record(CLIPS[1], CLASSES[0])])
    with pytest.raises(InputError, match="give --annotator"):
        bring(store, path)
    assert store.votes() == []


def test_votes_go_out_whole_and_come_into_another_store_the_same(
    store: LabelStore, write: Write, tmp_path: Path
) -> None:
    from tests.labels.stores import open_sqlite

    store.cast([draft(CLIPS[0].clip_id, CLASSES[2], start_s=1.5),
                draft(CLIPS[1].clip_id, None, kind=Kind.UNSURE, by="lee"),
                draft(CLIPS[2].clip_id, None, kind=Kind.SKIP, reason="=broken")])  # fmt: skip
    written = records(store, FOOTAGE, whole=True)
    path = write(written)
    (tmp_path / "other").mkdir()
    other = open_sqlite(tmp_path / "other")
    filled(other, list(FOOTAGE.clips.values()))
    assert bring(other, path).added == 3
    again = records(other, FOOTAGE, whole=True)

    def plain(found: list[Record]) -> list[tuple[object, ...]]:
        return [(r.clip, r.label, r.kind, r.annotator, r.reason, *r.span_s) for r in found]

    assert plain(again) == plain(written)
    other.close()


def test_other_tools_get_what_is_settled(store: LabelStore, write: Write) -> None:
    store.cast([draft(CLIPS[0].clip_id, CLASSES[1], by="kim", start_s=1.0, end_s=2.0),
                draft(CLIPS[0].clip_id, CLASSES[1], by="lee", start_s=2.0, end_s=3.0),
                draft(CLIPS[1].clip_id, CLASSES[1], by="kim"),
                draft(CLIPS[1].clip_id, CLASSES[0], by="lee")])  # fmt: skip
    (one,) = records(store, FOOTAGE, whole=False)
    assert (one.clip, one.label, one.annotator) == (CLIPS[0], CLASSES[1], "kim+lee")
    assert one.span_s == (1.5, 2.5)
