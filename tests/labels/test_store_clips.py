"""Clips come, go, return and are cut anew, and no vote is lost on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.labels.stores import clips, draft, filled
from vigil.config import load
from vigil.errors import InputError
from vigil.labels.project import open_store, sync, video_hashes
from vigil.labels.store import LabelStore
from vigil.schema import write_clips


def test_a_clip_of_other_bytes_keeps_its_votes_and_flags_them(store: LabelStore) -> None:
    one, *_ = filled(store)
    store.cast([draft(one)])
    store.sync_clips(clips(), {"cam1": "other bytes"})
    (vote,) = store.votes(standing=True)
    assert vote.stale
    store.cast([draft(one, "normal")])
    (vote,) = store.votes(standing=True)
    assert (vote.label, vote.stale) == ("normal", False)
    store.sync_clips(clips(), {"cam1": "hash of cam1"})
    assert [vote.stale for vote in store.votes()] == [False, True]


def test_a_clip_of_other_frames_is_flagged_and_one_of_more_people_is_not(
    store: LabelStore,
) -> None:
    one, *_ = filled(store)
    store.cast([draft(one)])
    key = store.clips()[0].key
    store.sync_clips(clips(frames=50), {"cam1": "hash of cam1"})
    assert store.votes()[0].stale
    assert store.clips()[0].clip.end_frame == 50
    assert store.clips()[0].key == key


def test_a_clip_that_is_gone_is_retired_and_returns(store: LabelStore) -> None:
    ids = filled(store)
    store.cast([draft(ids[3])])
    keys = [row.key for row in store.clips()]
    store.sync_clips(clips(2), {"cam1": "hash of cam1"})
    assert [row.retired for row in store.clips()] == [False, False, True, True]
    assert store.videos()[0].n_clips == 2
    assert len(store.votes(standing=True)) == 1
    store.sync_clips(clips(4), {"cam1": "hash of cam1"})
    assert [row.retired for row in store.clips()] == [False] * 4
    assert [row.key for row in store.clips()] == keys
    assert [dict(row.detail) for row in store.audit() if row.action == "sync"] == [
        {"added": 0, "retired": [], "returned": ids[2:], "recut": []},
        {"added": 0, "retired": ids[2:], "returned": [], "recut": []},
        {"added": 4, "retired": [], "returned": [], "recut": []},
    ]


def test_nothing_new_writes_nothing(store: LabelStore) -> None:
    filled(store)
    before = store.audit()
    filled(store)
    assert store.audit() == before


def test_a_clip_twice_is_refused(store: LabelStore) -> None:
    with pytest.raises(InputError, match="twice"):
        store.sync_clips([*clips(1), *clips(1)], {"cam1": "x"})
    assert store.clips() == []


def test_the_project_s_store_follows_its_files(project, params) -> None:
    path = project(params)
    config, paths = load(path)
    paths.videos.mkdir(parents=True)
    for video in ("cam1", "cam2"):
        (paths.videos / f"{video}.mp4").write_bytes(video.encode())
    write_clips(paths.clips, [*clips(2), *clips(1, "cam2")])
    store = open_store(config, paths)
    assert paths.label_store.is_file()
    assert sync(store, paths) == []
    store.cast([draft("cam1@0-4000"), draft("cam2@0-4000")])
    (paths.videos / "cam1.mp4").write_bytes(b"another film")
    (paths.videos / "cam2.mp4").unlink()
    assert sync(store, paths) == ["cam2"]
    assert [vote.stale for vote in store.votes()] == [True, False]
    assert [row.retired for row in store.clips()] == [False] * 3
    assert store.check() == []
    store.close()


def test_a_video_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_bytes(video.name.encode())
    cache = tmp_path / "cache" / "hashes.json"
    before = video_hashes(videos, cache)
    read: list[Path] = []
    monkeypatch.setattr("vigil.labels.project.file_hash", lambda path: read.append(path) or "new")
    assert video_hashes(videos, cache) == before
    assert read == []
    videos[0].write_bytes(b"longer than before")
    assert video_hashes(videos, cache) == before | {"a": "new"}
    cache.write_text(json.dumps([1, 2]), "utf-8")
    video_hashes(videos, cache)
    assert read == [videos[0], *videos]
