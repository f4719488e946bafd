"""Systems judge a video at moments: windows as in training, and nobody is never a zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.embeddings import CLIP, DIM, FRAME, Who, embeddings, timeline
from tests.skeletons import config, person, skeletons
from vigil.config import Config
from vigil.evaluation import predict
from vigil.frame_systems import (
    Footage,
    System,
    class_shares,
    no_skeletons,
    trained_system,
    window_row,
    windows,
    without_people,
    zero_shot_system,
)
from vigil.models import store
from vigil.schema import Embeddings, Tracks
from vigil.zero_shot import ZeroShot

ONE: Who = (1, -1)
SHARES = np.array([0.75, 0.25], np.float32)


def tracks(table: Embeddings) -> Tracks:
    """Return the tracks whose crops were embedded."""
    seen = (table.track_id >= 0) & (table.other_id < 0)
    return Tracks("v", 640, 360, table.frame[seen], table.time_s[seen], table.track_id[seen],
                  table.xyxy[seen], np.ones(seen.sum(), np.float32))  # fmt: skip


def footage(seconds: float = 8.0, here: tuple[float, float] = (0.0, 4.0), acts: int = 1) -> Footage:
    """Return a video looked at four times a second, with one person for a part of it."""
    rows = [{FRAME: 0} | ({ONE: acts} if here[0] <= i / 4 < here[1] else {})
            for i in range(int(seconds * 4))]  # fmt: skip
    table = embeddings(rows)
    line = timeline(frames=int(seconds * 12))
    return Footage(line, tracks(table), table, no_skeletons(line))


def settings(**frames: object) -> Config:
    cfg = config()
    models = dict(cfg.models)
    models["clip_gru"] = models["clip_gru"].model_copy(update={"dim": DIM, "span_s": 2.0})
    stride = {"stride_s": 0.5, **frames}
    return cfg.model_copy(update={"models": models, "frames": cfg.frames.model_copy(update=stride)})


def saved(name: str, cfg: Config, folder: Path) -> Path:
    """Save an untrained recognizer; its answers differ between inputs all the same."""
    import torch

    torch.manual_seed(0)
    spec = store.ModelSpec.of(name, cfg.classes, cfg.models, cfg.dataset)
    if name == "clip_gru":
        spec = replace(spec, reads=replace(spec.reads, clip=CLIP))
    store.save(folder / name, store.build(spec).state_dict(), spec)
    return folder / name


def gru(folder: Path, **frames: object) -> tuple[System, Path]:
    cfg = settings(**frames)
    model = saved("clip_gru", cfg, folder)
    return trained_system("clip_gru", model, cfg, SHARES), model


def test_windows_are_as_long_as_a_sequence_and_speak_of_their_middle(tmp_path: Path) -> None:
    system, model = gru(tmp_path)
    film = footage()
    found = system.judge(film)
    np.testing.assert_allclose(found.time_s, np.arange(13) * 0.5 + 1.0)
    clips = windows(film, 2.0, 0.5)
    said = predict(model, [window_row(clip, film) for clip in clips])
    np.testing.assert_allclose(found.judged[:4], said[:4])
    assert system.name == "clip_gru"
    assert not system.reads_skeletons


def test_a_live_anchor_speaks_of_the_end_of_its_window(tmp_path: Path) -> None:
    found = gru(tmp_path, anchor="end")[0].judge(footage())
    np.testing.assert_allclose(found.time_s, np.arange(13) * 0.5 + 2.0)


def test_windows_without_anybody_are_unknown_and_the_whole_frame_stands_in(tmp_path: Path) -> None:
    system, model = gru(tmp_path)
    film = footage(here=(0.0, 4.0))
    found = system.judge(film)
    starts = np.arange(13) * 0.5
    assert np.isnan(found.judged).all(axis=1).tolist() == (starts >= 4.0).tolist()
    empty = footage(here=(0.0, 0.0))
    alone = predict(model, [window_row(clip, empty) for clip in windows(empty, 2.0, 0.5)])
    np.testing.assert_allclose(found.fallback, alone, atol=1e-6)
    assert (found.fallback > 0).all()


def test_a_recognizer_of_whole_frames_always_judges(tmp_path: Path) -> None:
    cfg = settings()
    section = cfg.models["clip_gru"].model_copy(update={"crops": ("frame",)})
    cfg = cfg.model_copy(update={"models": {**cfg.models, "clip_gru": section}})
    system = trained_system("clip_gru", saved("clip_gru", cfg, tmp_path), cfg, SHARES)
    assert np.isfinite(system.judge(footage(here=(0.0, 0.0))).judged).all()


def test_a_person_seen_once_is_judged_while_a_window_holds_it(tmp_path: Path) -> None:
    found = gru(tmp_path)[0].judge(footage(here=(3.0, 3.2)))
    starts = np.arange(13) * 0.5
    there = (starts <= 3.0) & (starts + 2.0 > 3.0)
    assert np.isfinite(found.judged).all(axis=1).tolist() == there.tolist()


def test_a_video_shorter_than_a_window_is_one_window(tmp_path: Path) -> None:
    found = gru(tmp_path)[0].judge(footage(seconds=1.0))
    assert len(found.time_s) == 1
    assert np.isfinite(found.judged).all()


def test_a_recognizer_of_skeletons_is_shown_clips_and_falls_back_to_class_shares(
    tmp_path: Path,
) -> None:
    cfg = settings()
    system = trained_system("protogcn", saved("protogcn", cfg, tmp_path), cfg, SHARES)
    film = footage()
    joints = skeletons("v", {1: person(48, 0.5, np.random.default_rng(0))})
    found = system.judge(replace(film, skeletons=joints))
    length = cfg.clips.length_s
    np.testing.assert_allclose(found.time_s[:3], length / 2 + np.arange(3) * 0.5)
    assert np.isfinite(found.judged[0]).all()
    assert np.isnan(found.judged[-1]).all()
    np.testing.assert_allclose(found.fallback, np.tile(SHARES, (len(found.time_s), 1)))
    assert system.reads_skeletons


def test_nobody_leaves_the_whole_frame(tmp_path: Path) -> None:
    joints = skeletons("v", {1: person(48, 0.5, np.random.default_rng(0))})
    film = replace(footage(), skeletons=joints)
    seen = window_row(windows(film, 2.0, 0.5)[0], film)
    assert len(seen["keypoint"]) == 1
    row = without_people(seen)
    assert (row["token_track"] == -1).all()
    assert len(row["token_track"]) == len(row["embedding"]) == len(row["token_time_s"]) == 8
    assert len(row["keypoint"]) == 0


@pytest.mark.parametrize(("view", "judged"), [("frame", 32), ("box", 16), ("pair", 16)])
def test_zero_shot_judges_every_sampled_frame(view: str, judged: int) -> None:
    asked = ZeroShot(np.eye(DIM, dtype=np.float32)[:2], 20.0, 0, CLIP)
    system = zero_shot_system(asked, view)  # type: ignore[arg-type]
    found = system.judge(footage())
    assert system.name == f"zero_shot_{view}"
    assert len(found.time_s) == 32
    assert np.isfinite(found.judged[:, 0]).sum() == judged


def test_class_shares_are_those_of_the_labels() -> None:
    found = class_shares([{"label": 0}, {"label": 0}, {"label": 2}, {"label": 0}], 3)
    np.testing.assert_allclose(found, [0.75, 0, 0.25])
