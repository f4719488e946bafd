"""Every file format comes back as it was written, and refuses what it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vigil import schema
from vigil.errors import InputError

finite = st.floats(-1e6, 1e6, width=32)
names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)


@st.composite
def tables(draw: st.DrawFn) -> schema.Table:
    """Draw any of the per-video tables, empty ones too."""
    n = draw(st.integers(0, 5))
    head = (draw(names), draw(st.integers(1, 9999)), draw(st.integers(1, 9999)))
    frame = np.arange(n, dtype=np.int32)
    time_s = draw(hnp.arrays(np.float64, n, elements=st.floats(0, 1e6)))
    track_id = draw(hnp.arrays(np.int32, n))
    score = draw(hnp.arrays(np.float32, n, elements=st.floats(0, 1, width=32)))
    kinds = ["timeline", "tracks", "masks", "skeletons", "embeddings", "frame_scores"]
    kind = draw(st.sampled_from(kinds))
    if kind == "timeline":
        return schema.Timeline(*head, time_s)
    if kind == "tracks":
        xyxy = draw(hnp.arrays(np.float32, (n, 4), elements=finite))
        return schema.Tracks(*head, frame, time_s, track_id, xyxy, score)
    if kind == "masks":
        rle = draw(st.lists(st.binary(max_size=9), min_size=n, max_size=n))
        return schema.Masks(*head, frame, track_id, rle, ["box"] * n)
    if kind == "embeddings":
        sides = [draw(hnp.arrays(np.float32, n, elements=finite)) for _ in range(4)]
        vectors = draw(hnp.arrays(np.float16, (n, 3), elements=st.floats(-1, 1, width=16)))
        return schema.Embeddings(*head, draw(names), frame, time_s, track_id, track_id, *sides,
                                 vectors)  # fmt: skip
    if kind == "frame_scores":
        classes = tuple(draw(st.lists(names, min_size=2, max_size=4)))
        shape = (n, len(classes))
        chances = draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
        source = draw(hnp.arrays(np.int8, n, elements=st.integers(0, 2)))
        return schema.FrameScores(*head, draw(names), classes, frame, time_s, score, chances,
                                  source)  # fmt: skip
    keypoints = draw(hnp.arrays(np.float32, (n, 34), elements=finite | st.just(np.nan)))
    scores = draw(hnp.arrays(np.float32, (n, 17), elements=st.floats(0, 1, width=32)))
    return schema.Skeletons(*head, frame, time_s, track_id, keypoints, scores)


@given(tables())
@settings(max_examples=60, deadline=None)
def test_tables_survive_the_round_trip(tmp_path_factory: pytest.TempPathFactory, table: schema.Table) -> None:  # fmt: skip  # noqa: E501
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    table.write(path)
    back = type(table).read(path)
    for name, value in vars(table).items():
        got = getattr(back, name)
        if isinstance(value, np.ndarray):
            assert got.dtype == value.dtype
            np.testing.assert_array_equal(got, value)
        else:
            assert got == value


def test_skeletons_show_their_joints_as_points() -> None:
    keypoints = np.arange(34, dtype=np.float32)[None]
    empty = np.zeros(1, np.int32)
    table = schema.Skeletons(
        "v", 1, 1, empty, np.zeros(1), empty, keypoints, np.ones((1, 17), np.float32)
    )
    assert table.xy.shape == (1, 17, 2)
    assert table.xy[0, 3].tolist() == [6, 7]


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(InputError, match="expected equal columns"):
        schema.Masks("v", 1, 1, np.zeros(2, np.int32), np.zeros(1, np.int32), [b""], ["box"])


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    schema.Timeline("v", 4, 4, np.zeros(1)).write(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="expected tracks version 1, got timeline 1"):
        schema.Tracks.read(tmp_path / "t.parquet")


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("hello")
    with pytest.raises(InputError, match="expected a tracks Parquet file"):
        schema.Tracks.read(tmp_path / "t.parquet")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    path.write_text("old")

    def fail() -> None:
        with schema.atomic(path) as partial:
            partial.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["f.txt"]
    assert path.read_text() == "old"


def test_clips_survive_the_round_trip(tmp_path: Path) -> None:
    clips = [schema.Clip(schema.clip_id("비 디=오", 0.5, 4.5), "비 디=오", 0.5, 4.5, 6, 54, 2)]
    schema.write_clips(tmp_path / "c.parquet", clips)
    assert schema.read_clips(tmp_path / "c.parquet") == clips
    assert clips[0].clip_id == "비 디=오@500-4500"


@given(
    st.lists(
        st.tuples(
            names,
            names,
            st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=9),
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=40, deadline=None)
def test_labels_survive_the_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("l") / "labels.csv"
    labels = [
        schema.Label(clip, label, who, "2026-01-02T03:04:05+00:00") for clip, label, who in rows
    ]
    schema.write_labels(path, labels)
    assert schema.read_labels(path) == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one row"),
        ("clip_id,label\n", "at least one row"),
        ("clip_id\na@0-1\n", "line 2: expected a value for 'label'"),
        ("clip_id,label\na@0-1,\n", "line 2: expected a value for 'label'"),
    ],
)
def test_labels_without_rows_or_values_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        schema.read_labels(path)


def test_a_missing_label_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a readable UTF-8 CSV"):
        schema.read_labels(tmp_path / "none.csv")


def test_groups_survive_the_round_trip(tmp_path: Path) -> None:
    schema.write_groups(tmp_path / "g.csv", {"a": "s1", "b,c": "s2"})
    assert schema.read_groups(tmp_path / "g.csv") == {"a": "s1", "b,c": "s2"}


def embeddings(*keys: tuple[int, int, int]) -> schema.Embeddings:
    frame, track, other = np.array(keys, np.int32).reshape(-1, 3).T
    side = np.zeros(len(keys), np.float32)
    return schema.Embeddings("v", 64, 48, "demo/clip", frame, np.zeros(len(keys)), track, other,
                             side, side + 1, side + 2, side + 3,
                             np.zeros((len(keys), 5), np.float16))  # fmt: skip


def test_embeddings_show_their_boxes_and_their_dimension() -> None:
    table = embeddings((0, -1, -1), (0, 1, -1), (0, 1, 2), (3, 1, -1))
    assert table.dim == 5
    assert table.xyxy.tolist() == [[0, 1, 2, 3]] * 4


def test_a_file_without_any_embedding_still_knows_its_dimension(tmp_path: Path) -> None:
    embeddings().write(tmp_path / "e.parquet")
    assert schema.Embeddings.read(tmp_path / "e.parquet").dim == 5


@pytest.mark.parametrize("keys", [[(1, 1, -1), (0, 1, -1)], [(0, 1, -1), (0, 1, -1)]])
def test_unsorted_or_doubled_embeddings_are_refused(keys: list[tuple[int, int, int]]) -> None:
    with pytest.raises(InputError, match="expected rows sorted"):
        embeddings(*keys)


def test_frame_scores_need_one_probability_a_class() -> None:
    one = np.zeros(1, np.float32)
    with pytest.raises(InputError, match=r"expected \(1, 3\) probabilities, got \(1, 2\)"):
        schema.FrameScores("v", 1, 1, "zero_shot", ("a", "b", "c"), np.zeros(1, np.int32),
                           np.zeros(1), one, np.zeros((1, 2), np.float32),
                           np.zeros(1, np.int8))  # fmt: skip


CLASSES = ("normal", "assault", "faint")


def test_events_survive_the_round_trip(tmp_path: Path) -> None:
    events = [
        schema.Event("비 디=오", "assault", 0.5, 4.25, (1, 12), ((0.5, 10.0, 20.5), (1.5, -3, 4))),
        schema.Event("b,c", "faint", 0.0, 2.0),
    ]
    schema.write_events(tmp_path / "e.csv", events)
    assert schema.read_events(tmp_path / "e.csv", CLASSES) == events


def test_an_events_file_may_say_that_nothing_happens(tmp_path: Path) -> None:
    schema.write_events(tmp_path / "e.csv", [])
    assert schema.read_events(tmp_path / "e.csv", CLASSES) == []


def test_an_events_file_needs_neither_ids_nor_points(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("video_id,label,start_s,end_s\nv,faint,1,2\n")
    assert schema.read_events(tmp_path / "e.csv", CLASSES) == [schema.Event("v", "faint", 1.0, 2.0)]


HEADER = "video_id,label,start_s,end_s,track_ids,points\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header"),
        ("video_id,label\n", "expected the columns"),
        (HEADER + "v,theft,0,1,,\n", "line 2: expected a label of .* got 'theft'"),
        (HEADER + "v,faint,0,1,,\nv,faint,2,1,,\n", "line 3: expected 0 <= start_s < end_s"),
        (HEADER + "v,faint,0,nan,,\n", "expected 0 <= start_s < end_s"),
        (HEADER + "v,faint,zero,1,,\n", "line 2: expected numbers in seconds"),
        (HEADER + "v,faint,0,1,one,\n", "line 2: expected numbers in seconds"),
        (HEADER + "v,faint,0,1,,1:2\n", "line 2: expected numbers in seconds"),
        (HEADER + "v,faint,0,,,\n", "line 2: expected a value for 'end_s'"),
    ],
)
def test_events_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        schema.read_events(path, CLASSES)
