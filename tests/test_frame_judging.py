"""Test and validation videos are judged by every system; training videos are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.frame_project import END_S, START_S, asked, make
from vigil.config import Config, load
from vigil.errors import InputError
from vigil.evaluation import auc
from vigil.frame_judging import judge_all, read_parts, read_truths, systems
from vigil.paths import Paths
from vigil.schema import CARRIED, FrameScores, read_csv, write_text
from vigil.training import train

Project = tuple[Config, Paths]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a trained CLIP-GRU."""
    cfg, paths = make(tmp_path_factory.mktemp("project"))
    train("clip_gru", cfg, paths.dataset / "annotations.pkl", paths.model("clip_gru"),
          paths.cache.parent / "training")  # fmt: skip
    return cfg, paths


def test_what_is_judged_was_never_trained_on(project: Project) -> None:
    _, paths = project
    parts = read_parts(paths.dataset / "splits.csv")
    rows = read_csv(paths.dataset / "splits.csv", ("split", "video_id"))
    trained = {row["video_id"] for row in rows if row["split"] == "train"}
    assert parts.test
    assert parts.val
    assert not trained & {*parts.test, *parts.val}


def test_every_frame_of_every_video_gets_a_score_of_every_system(project: Project) -> None:
    cfg, paths = project
    parts = read_parts(paths.dataset / "splits.csv")
    judges = systems(asked(), cfg, paths)
    assert [one.name for one in judges] == ["zero_shot_frame", "zero_shot_box", "clip_gru"]
    stale = paths.frame_scores("gone") / "v00.parquet"
    write_text(stale, "old")
    beside = paths.data / "tracks"
    said = judge_all(judges, (*parts.test, *parts.val), cfg, paths)
    assert not stale.exists()
    assert beside.is_dir(), "only frame scores are cleared"
    for name, own in said.items():
        assert [scores.video_id for scores in own] == [*parts.test, *parts.val]
        for scores in own:
            kept = FrameScores.read(paths.frame_scores(name) / f"{scores.video_id}.parquet")
            np.testing.assert_array_equal(kept.score, scores.score)
            assert (kept.system, kept.classes, len(kept)) == (name, cfg.classes, 96)
            assert 0 <= kept.score.min() <= kept.score.max() <= 1


def test_what_was_learned_ranks_frames_above_what_was_asked(project: Project) -> None:
    cfg, paths = project
    parts = read_parts(paths.dataset / "splits.csv")
    truths, source = read_truths(parts.test, cfg, paths)
    said = judge_all(systems(asked(), cfg, paths), parts.test, cfg, paths)
    assert source == "events"
    event = np.concatenate([truths[name].active[:, 1] for name in parts.test])
    found = {
        name: auc(np.concatenate([one.score for one in own]), event) for name, own in said.items()
    }
    assert found["clip_gru"] > 0.9
    assert found["clip_gru"] > found["zero_shot_box"] + 0.1
    assert found["zero_shot_box"] > 0.5
    gone = np.concatenate([one.time_s >= 7.25 for one in said["zero_shot_box"]])
    source_of = np.concatenate([one.source for one in said["zero_shot_box"]])
    assert (source_of[gone] == CARRIED).all(), "nobody is left in the last second"


def test_without_events_the_labels_tell_the_truth(project: Project, tmp_path: Path) -> None:
    cfg, paths = project
    values = cfg.model_dump(mode="json")
    values["paths"]["events"] = ""
    (paths.root / "labels.yaml").write_text(yaml.safe_dump(values), "utf-8")
    cfg, paths = load(paths.root / "labels.yaml")
    name = read_parts(paths.dataset / "splits.csv").test
    truths, source = read_truths(name, cfg, paths)
    assert source == "labeled windows"
    for truth in truths.values():
        assert truth.known.all()
        if truth.events:
            assert (truth.events[0].start_s, truth.events[-1].end_s) == (START_S, END_S + 1)


def test_a_dataset_without_test_videos_is_one_clear_line(tmp_path: Path) -> None:
    write_text(tmp_path / "splits.csv", "split,clip_id,video_id\ntrain,a@0-1,a\n")
    with pytest.raises(InputError, match="expected at least one test video, got none"):
        read_parts(tmp_path / "splits.csv")


def test_a_video_without_embeddings_is_one_clear_line(project: Project) -> None:
    cfg, paths = project
    with pytest.raises(InputError, match=r"gone\.parquet: expected a timeline Parquet file"):
        judge_all(systems(asked(), cfg, paths), ["gone"], cfg, paths)
