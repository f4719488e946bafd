"""From scores of frames to one report, and suggestions for clips, as the stages run them."""

from __future__ import annotations

import json
from argparse import Namespace

import pytest

from stages import frames, suggest
from tests.frame_project import asked, make
from vigil.config import Config
from vigil.paths import Paths
from vigil.schema import read_clips, read_suggestions
from vigil.training import train

Project = tuple[Config, Paths]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a trained CLIP-GRU and no ground truth beside its events."""
    cfg, paths = make(tmp_path_factory.mktemp("project"))
    train("clip_gru", cfg, paths.dataset / "annotations.pkl", paths.model("clip_gru"),
          paths.cache.parent / "training")  # fmt: skip
    return cfg, paths


def test_the_systems_stand_in_one_report(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg, paths = project
    monkeypatch.setattr(frames, "ask_clip", lambda *_: asked())
    frames.main(cfg, paths, Namespace())
    said = capsys.readouterr().out
    report = json.loads((paths.frame_report / "report.json").read_text("utf-8"))
    assert list(report["systems"]) == ["zero_shot_frame", "zero_shot_box", "clip_gru"]
    assert report["systems"]["clip_gru"]["metrics"]["auc"]["value"] > 0.9
    assert report["validation"]["videos"] > 0
    assert report["misses"] is None
    unseen = report["n_frames"] - report["systems"]["zero_shot_box"]["sources"]["judged"]
    assert f"{unseen} frames without anybody" in said
    for name in ("index.html", "roc.png", "roc.csv"):
        assert (paths.frame_report / name).stat().st_size > 500
    figures = json.loads((paths.reports / "metrics" / "frames.json").read_text("utf-8"))
    assert figures["clip_gru"]["auc"] == report["systems"]["clip_gru"]["metrics"]["auc"]["value"]
    before = (paths.frame_report / "report.json").read_bytes()
    frames.main(cfg, paths, Namespace())
    assert (paths.frame_report / "report.json").read_bytes() == before, "twice the same"


def test_every_clip_gets_a_suggestion(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg, paths = project
    monkeypatch.setattr(suggest, "ask_clip", lambda *_: asked())
    (paths.embeddings / "v03.parquet").rename(paths.embeddings / "aside")
    suggest.main(cfg, paths, Namespace())
    (paths.embeddings / "aside").rename(paths.embeddings / "v03.parquet")
    clips = [clip for clip in read_clips(paths.clips) if clip.video_id != "v03"]
    found = read_suggestions(paths.suggestions, cfg.classes)
    assert {one.clip_id for one in found} == {clip.clip_id for clip in clips}
    assert len(found) == 2 * len(clips)
    assert "7 without embeddings left out" in capsys.readouterr().out
