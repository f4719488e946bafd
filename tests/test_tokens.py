"""Embeddings join the annotations: who is in the window, and what the events file tells of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.skeletons import annotation, write_set
from vigil.dataset import read_annotations, write_annotations
from vigil.errors import InputError
from vigil.schema import Clip, Embeddings, Event, Tracks
from vigil.sequences import UNKNOWN
from vigil.tokens import Sources, build_tokens, told

CLASSES = ("normal", "assault", "faint")
TIMES = np.arange(0, 8, 0.5)
KEYS = [(-1, -1), (1, -1), (1, 2), (2, -1), (3, -1)]


def embeddings(
    video_id: str = "v0", keys: list[tuple[int, int]] = KEYS, dim: int = 4, clip: str = "demo/clip"
) -> Embeddings:
    rows = [(frame, *key) for frame in range(len(TIMES)) for key in sorted(keys)]
    frame, track, other = np.array(rows, np.int32).reshape(-1, 3).T
    sides = [np.full(len(rows), value, np.float32) for value in (0, 0, 10, 20)]
    vectors = np.zeros((len(rows), dim), np.float16)
    vectors[:, 0] = 1.0
    return Embeddings(video_id, 64, 48, clip, frame, TIMES[frame], track, other, *sides, vectors)


def tracks(video_id: str = "v0") -> Tracks:
    frame = np.repeat(np.arange(len(TIMES), dtype=np.int32), 3)
    track = np.tile(np.array([1, 2, 3], np.int32), len(TIMES))
    x = (track * 10).astype(np.float32)
    boxes = np.stack([x, np.zeros_like(x), x + 8, np.full_like(x, 20)], 1)
    score = np.ones(len(frame), np.float32)
    return Tracks(video_id, 64, 48, frame, TIMES[frame], track, boxes, score)


def labels(*events: Event) -> dict[tuple[int, int], list[int]]:
    table = embeddings()
    found = told(table, tracks(), events, list(CLASSES), 0)
    return {
        key: found[(table.track_id == key[0]) & (table.other_id == key[1])].tolist()
        for key in KEYS
    }  # fmt: skip


def test_the_people_named_show_the_event_while_it_lasts() -> None:
    found = labels(Event("v0", "assault", 2.0, 4.0, track_ids=(2,)))
    during = [1 if 2 <= t < 4 else 0 for t in TIMES]
    assert found[(2, -1)] == found[(1, 2)] == found[(-1, -1)] == during
    assert found[(1, -1)] == found[(3, -1)] == [0] * len(TIMES)


def test_a_point_names_the_person_whose_box_holds_it() -> None:
    found = labels(Event("v0", "faint", 0.0, 8.0, points=((1.0, 34.0, 10.0),)))
    assert found[(3, -1)] == [2] * len(TIMES)
    assert found[(1, -1)] == [0] * len(TIMES)


def test_an_event_that_names_nobody_leaves_everybody_unknown_while_it_lasts() -> None:
    found = labels(Event("v0", "assault", 2.0, 4.0))
    assert found[(1, -1)] == [UNKNOWN if 2 <= t < 4 else 0 for t in TIMES]
    assert found[(-1, -1)] == [1 if 2 <= t < 4 else 0 for t in TIMES]


def test_of_two_events_the_one_that_names_somebody_stands() -> None:
    named, unnamed = Event("v0", "faint", 0, 8, track_ids=(1,)), Event("v0", "assault", 0, 8)
    for events in ((named, unnamed), (unnamed, named)):
        assert set(labels(*events)[(1, -1)]) == {2}
        assert set(labels(*events)[(2, -1)]) == {UNKNOWN}


def test_a_normal_action_is_no_event() -> None:
    found = labels(Event("v0", "normal", 0.0, 8.0, track_ids=(1,)))
    assert {value for values in found.values() for value in values} == {0}


def prepare(folder: Path, tables: list[Embeddings]) -> tuple[list[Clip], dict[str, Sources]]:
    """Write annotations of two clips per video, and the tables."""
    rows, clips = [], []
    for index, table in enumerate(tables):
        for part in range(2):
            row = annotation(2 * index + part, part)
            clips.append(
                Clip(row["frame_dir"], table.video_id, 4.0 * part, 4.0 * part + 4, 0, 9, 3)
            )
            rows.append(row | {"video_id": table.video_id})
    write_annotations(folder / "annotations.pkl", {"train": [r["frame_dir"] for r in rows]}, rows)
    sources = {}
    for table in tables:
        sources[table.video_id] = Sources(
            folder / f"{table.video_id}.e.parquet", folder / f"{table.video_id}.t.parquet"
        )
        table.write(sources[table.video_id].embeddings)
        tracks(table.video_id).write(sources[table.video_id].tracks)
    return clips, sources


def test_every_annotation_gets_what_is_in_its_window(tmp_path: Path) -> None:
    clips, sources = prepare(
        tmp_path, [embeddings("v0"), embeddings("v1", [(-1, -1)]), embeddings("v2", [])]
    )
    summary = build_tokens(tmp_path, clips, sources, None, CLASSES, 0)
    assert (summary.clips, summary.trackless, summary.empty, summary.told) == (6, 2, 2, 0.0)
    assert "2 without any track: their whole frames stand in" in str(summary)
    splits, rows = read_annotations(tmp_path / "annotations.pkl")
    assert "keypoint" in rows[0], "the skeletons stay"
    for row in rows[:2]:
        assert (
            (row["token_time_s"] >= row["start_s"]) & (row["token_time_s"] < row["end_s"])
        ).all()
        assert row["embedding"].shape == (40, 4)
        assert set(row["token_label"].tolist()) == {UNKNOWN}
    assert len(splits["train"]) == 6
    plain = read_annotations(tmp_path / "annotations.pkl", embeddings=False)[1]
    assert "embedding" not in plain[0]


def test_events_tell_what_tracks_show(tmp_path: Path) -> None:
    clips, sources = prepare(tmp_path, [embeddings("v0")])
    events = [Event("v0", "assault", 0.0, 4.0, track_ids=(2,)), Event("other", "faint", 0.0, 8.0)]
    summary = build_tokens(tmp_path, clips, sources, events, CLASSES, 0)
    assert summary.told == 1.0
    first, second = read_annotations(tmp_path / "annotations.pkl")[1]
    assert set(first["token_label"].tolist()) == {0, 1}
    assert set(second["token_label"].tolist()) == {0}


def test_a_video_without_embeddings_is_one_line(tmp_path: Path) -> None:
    clips, _ = prepare(tmp_path, [embeddings("v0")])
    with pytest.raises(InputError, match="dataset: v0: expected embeddings, got none"):
        build_tokens(tmp_path, clips, {}, None, CLASSES, 0)


def test_embeddings_of_two_clips_are_refused(tmp_path: Path) -> None:
    other = replace(embeddings("v1"), clip="ViT-B/32")
    clips, sources = prepare(tmp_path, [embeddings("v0"), other])
    with pytest.raises(InputError, match=r"expected embeddings of one CLIP, got .*ViT-B/32"):
        build_tokens(tmp_path, clips, sources, None, CLASSES, 0)
    assert not (tmp_path / "embeddings.pkl").exists()


def test_without_embeddings_annotations_are_as_they_were(tmp_path: Path) -> None:
    write_set(tmp_path / "annotations.pkl")
    assert "embedding" not in read_annotations(tmp_path / "annotations.pkl")[1][0]
