"""From embeddings to published models: dataset, train, evaluate, export, fuse and crops in turn."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages import crops, dataset, evaluate, export, fuse, train
from tests.skeletons import CLASSES, config, person, skeletons
from tests.test_crop_graph import image_encoder
from tests.tracks import DIM, bag
from vigil.config import load
from vigil.errors import InputError
from vigil.evaluation.scores import read_scores
from vigil.paths import Paths
from vigil.schema import (
    Clip,
    Embeddings,
    Event,
    Label,
    Timeline,
    Tracks,
    write_clips,
    write_events,
    write_groups,
    write_labels,
)
from vigil.serving.repository import check_model
from vigil.serving.server import EmbeddedTriton
from vigil.serving.trial import ask

NAMES = ("protogcn", "clip_gru")


def embeddings(video: str, index: int, label: int) -> Embeddings:
    """Return a bag of `tests.tracks` as the `embed` stage would write it."""
    row = bag(index, label)
    time_s, track = row["token_time_s"] - 10.0, row["token_track"]
    frame = (time_s * 12).astype(np.int32)
    order = np.lexsort([track[:, 1], track[:, 0], frame])
    sides = [np.full(len(frame), value, np.float32) for value in (0, 0, 9, 9)]
    columns = frame, time_s, track[:, 0], track[:, 1]
    return Embeddings(video, 640, 360, "test/clip", *(column[order] for column in columns),
                      *sides, row["embedding"][order])  # fmt: skip


def write_video(paths: Paths, video: str, index: int) -> None:
    """Write one video's timeline, tracks, skeletons and embeddings."""
    rng = np.random.default_rng(index)
    people = {
        i: person(48, 1.2 if index % 2 else 0.1, rng, (150.0 + 90 * i, 200)) for i in range(3)
    }
    skeletons(video, people).write(paths.skeletons / f"{video}.parquet")
    Timeline(video, 640, 360, np.arange(48) / 12).write(paths.timelines / f"{video}.parquet")
    frame = np.repeat(np.arange(48, dtype=np.int32), 3)
    boxes = np.tile(np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], np.float32), (48, 1))
    Tracks(video, 640, 360, frame, frame / 12, np.tile(np.arange(3, dtype=np.int32), 48), boxes,
           np.ones(len(frame), np.float32)).write(paths.tracks / f"{video}.parquet")  # fmt: skip
    embeddings(video, index, index % 2).write(paths.embeddings / f"{video}.parquet")


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of 24 videos of one clip each; its events file names who acts."""
    root = tmp_path_factory.mktemp("project")
    values = config(epochs=4).model_dump(mode="json")
    values["recognizers"] = list(NAMES)
    values["fusions"] = {"fused": {"members": list(NAMES), "penalty": 0.1}}
    values["export"]["crops"] = ["clip_gru"]
    values["train"]["clip_gru"] = {"optimizer": "adamw", "lr": 0.01, "ema_momentum": 0.0,
                                   "epochs": 8}  # fmt: skip
    values["dataset"]["split"] = [0.5, 0.25, 0.25]
    values["paths"]["events"] = "events.csv"
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    _, paths = load(root / "params.yaml")
    videos = {f"v{index}": index for index in range(24)}
    for video, index in videos.items():
        write_video(paths, video, index)
    clips = {video: f"{video}@0-4000" for video in videos}
    write_clips(paths.clips, [Clip(clips[v], v, 0.0, 4.0, 0, 48, 3) for v in videos])
    write_labels(
        paths.labels, [Label(clips[v], CLASSES[i % 2], "a", "") for v, i in videos.items()]
    )
    write_groups(paths.groups, {v: f"hall{i // 4}" for v, i in videos.items()})
    assert paths.events is not None
    write_events(paths.events, [
        Event(v, "assault", 1.0, 4.0, track_ids=(i % 3,)) for v, i in videos.items() if i % 2
    ])  # fmt: skip
    return root / "params.yaml"


@pytest.mark.slow
def test_from_embeddings_to_published_models(
    parameters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg, paths = load(parameters)
    dataset.main(cfg, paths, Namespace())
    said = capsys.readouterr().out
    assert f"24 clips with embeddings of test/clip ({DIM} wide); 0 without any track" in said
    assert "100% told by events" in said
    for name in NAMES:
        train.main(cfg, paths, Namespace(model=name))
        evaluate.main(cfg, paths, Namespace(model=name))
        export.main(cfg, paths, Namespace(model=name))
        check_model(paths.triton_repo / name)
    report = json.loads((paths.reports / "clip_gru.json").read_text())
    assert report["metrics"]["auc"]["value"] > 0.9
    assert set(report["baselines"]) == {"majority", "motion"}
    fuse.main(cfg, paths, Namespace(name="fused"))
    fit = json.loads((paths.reports / "fused/fusion.json").read_text())
    scores = (paths.reports / "fused/scores.csv").read_text().splitlines()
    assert fit["members"] == list(NAMES)
    assert len(scores) - 1 == report["n"]
    assert 0 < fit["n"] < 24 - report["n"]
    image_encoder(paths.onnx("clip_image"))
    crops.main(cfg, paths, Namespace(model="clip_gru"))
    for name in ("fused", "clip_gru_crops"):
        check_model(paths.triton_repo / name)
        parity = json.loads((paths.reports / f"{name}_export.json").read_text())
        assert max(parity["max_difference"].values()) <= parity["tolerance"]
    assert "in turn" in capsys.readouterr().out


def test_embeddings_that_are_wanted_and_missing_are_one_line(
    parameters: Path, tmp_path: Path
) -> None:
    cfg, paths = load(parameters)
    bare = Paths(**(vars(paths) | {"data": tmp_path}))
    bare.dataset.mkdir(parents=True)
    (bare.dataset / "embeddings.pkl").write_bytes(b"of an earlier run")
    with pytest.raises(InputError, match="dataset: clip_gru: expected embeddings; run `embed`"):
        dataset.add_embeddings(cfg, bare)
    assert not (bare.dataset / "embeddings.pkl").exists()


def test_an_unknown_fusion_is_named(parameters: Path) -> None:
    cfg, paths = load(parameters)
    with pytest.raises(InputError, match=r"fuse: expected one of \['fused'\], got nobody"):
        fuse.main(cfg, paths, Namespace(name="nobody"))


@pytest.mark.slow
def test_the_server_is_asked_about_whole_clips_whatever_a_model_reads(parameters: Path) -> None:
    """The answers over the network are those of the report, pooled from sequences or not."""
    cfg, paths = load(parameters)
    with EmbeddedTriton(paths.triton_repo, ["clip_gru", "fused"]) as server:
        for name in ("clip_gru", "fused"):
            answers = ask(cfg, paths, name, {"http": server.http_url, "grpc": server.grpc_url})
            scores, classes = read_scores(paths.reports / name / "scores.csv")
            served = {
                clip_id: [said.probabilities[label] for label in classes]
                for clip_id, said in zip(answers.clip_ids, answers.predictions, strict=True)
            }
            for clip_id, row in zip(scores.clips, scores.probabilities, strict=True):
                assert served[clip_id] == pytest.approx(row.tolist(), abs=1e-4)
            assert answers.agree < 1e-6
