"""Networks without labels, a recognizer behind CLIP, and `behaviour`: judged, published, served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.serving.behaviour.conftest import red_project
from tests.stages.project import Project
from vigil.clips import propose_clips
from vigil.crop_graph import CropDoor
from vigil.models.reading import SequenceReading
from vigil.models.store import read_spec
from vigil.perception.embedder import Embedder, embed_video
from vigil.release.candidate import Candidate
from vigil.release.gate.footage import CropReading, seen_by
from vigil.release.live import LiveModel
from vigil.release.project import live_model, publish, verify
from vigil.release.publish import publish as bring
from vigil.release.publish import rollback
from vigil.schema import Timeline, Tracks
from vigil.serving.behaviour.publish import publish_behaviour
from vigil.serving.client import Client
from vigil.serving.control import Control
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession
from vigil.tokens import token_row
from vigil.video import decode

NETWORKS = ("yolo11-seg", "rtmo", "clip_image")


def tracked(project: Project) -> Tracks:
    """Write tracks of the film: two people who stand still, who meet for a while."""
    times = np.array([frame.time_s for frame in decode(project.videos / "yard.mp4")])
    frame = np.repeat(np.arange(len(times), dtype=np.int32), 2)
    ids = np.tile(np.array([1, 2], np.int32), len(times))
    left = np.where(ids == 1, 40.0, 60.0 + 3 * frame).astype(np.float32)
    boxes = np.stack([left, np.full_like(left, 8), left + 32, np.full_like(left, 80)], 1)
    keep = (ids == 1) | (frame > 20)
    tracks = Tracks(
        "yard", 512, 96, frame[keep], times[frame][keep], ids[keep], boxes[keep],
        np.ones(keep.sum(), np.float32),
    )  # fmt: skip
    project.paths.tracks.mkdir(parents=True, exist_ok=True)
    tracks.write(project.paths.tracks / "yard.parquet")
    return tracks


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = red_project(tmp_path / "p")
    gate = {"rows": 8, "rounds": 3, "seconds": 0.1, "warmup_s": 0.0, "max_slowdown": 50.0}
    found.values["gate"] |= gate
    found.save()
    tracked(found)
    return found


def test_crops_are_those_whose_embeddings_the_recognizer_reads(project: Project) -> None:
    config, paths, video = project.config, project.paths, project.videos / "yard.mp4"
    tracks = Tracks.read(paths.tracks / "yard.parquet")
    encoder = OnnxSession(paths.onnx("clip_image"), device="cpu")
    table = embed_video(video, tracks, Embedder(encoder, 8), config.embed)
    times = np.unique([frame.time_s for frame in decode(video)])
    clips = propose_clips(Timeline("yard", 512, 96, times), tracks, config.clips)
    reads = read_spec(paths.model("clip_gru")).reads
    assert isinstance(reads, SequenceReading)
    rows = [token_row(clip, table, None) | {"video_id": "yard"} for clip in clips]
    wanted = reads.batch(rows)
    door = CropDoor(reads, config.embed.crop_px)
    windows = {clip.clip_id: clip for clip in clips}
    cropping = CropReading(door, encoder, config.embed, {"yard": video}, paths.tracks, windows)
    found = cropping.batch(rows)
    np.testing.assert_array_equal(found.owner, wanted.owner)
    assert len(set(found.owner.tolist())) == len(clips) > 3
    crops = found.feeds["crops"]
    vectors = encoder.run({"crops": crops.reshape(-1, *crops.shape[2:])})["embedding"]
    given = vectors.reshape(*crops.shape[:2], -1)
    np.testing.assert_allclose(given, wanted.feeds["embeddings"], atol=2e-3)
    assert np.ptp(given, axis=0).max() > 0.1, "crops that differ"


def test_a_clip_of_nobody_is_a_row_of_black(project: Project) -> None:
    config, paths = project.config, project.paths
    config = config.model_copy(update={"embed": config.embed.model_copy(update={"frames": False})})
    nobody = Tracks("yard", 512, 96, *(a[:0] for a in (
        tracked(project).frame, tracked(project).time_s, tracked(project).track_id,
        tracked(project).xyxy, tracked(project).score)))  # fmt: skip
    nobody.write(paths.tracks / "yard.parquet")
    times = np.arange(0, 6, 1 / 12)
    clip = replace(
        propose_clips(Timeline("yard", 512, 96, times), nobody, config.clips)[0], start_s=0.0
    )
    encoder = OnnxSession(paths.onnx("clip_image"), device="cpu")
    reads = read_spec(paths.model("clip_gru")).reads
    assert isinstance(reads, SequenceReading)
    door, videos = CropDoor(reads, config.embed.crop_px), {"yard": project.videos / "yard.mp4"}
    cropping = CropReading(door, encoder, config.embed, videos, paths.tracks, {clip.clip_id: clip})
    found = cropping.batch([{"video_id": "yard", "frame_dir": clip.clip_id}])
    assert found.feeds["crops"].shape == (1, 8, 16, 16, 3)
    assert not found.feeds["crops"].any()


def of_the_first_row(path: Path) -> None:
    """Let an encoder answer every row of a batch as if it were the first."""
    network = onnx.load(str(path))
    graph = network.graph
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name)
        for name, value in (("zero", 0), ("first", 1))
    )
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    at = next(i for i, node in enumerate(graph.node) if node.op_type == "Pad")
    graph.node[at].input[0] = "same"
    for node in (
        helper.make_node("Add", ["one_row", "zeros"], ["same"]),
        helper.make_node("Mul", ["mean", "nothing"], ["zeros"]),
        helper.make_node("Slice", ["mean", "zero", "first", "zero"], ["one_row"]),
    ):
        graph.node.insert(at, node)
    onnx.checker.check_model(network)
    onnx.save(network, str(path))


@pytest.mark.slow
def test_a_network_is_judged_on_footage_published_and_taken_back(project: Project) -> None:
    config, paths = project.config, project.paths
    live = live_model(config, paths, "clip_image")
    said = verify(config, paths, "clip_image")
    assert said["ship"], said["why"]
    assert (said["test"]["clips"], said["test"]["videos"]) == (0, 1)
    assert "that it is right is not" in said["notes"][0]
    page = (paths.reports / "gate" / "clip_image" / "index.html").read_text()
    assert "Accuracy not judged: nothing is labeled" in page
    assert publish(config, paths, "clip_image", []) == 1
    again = verify(config, paths, "clip_image")
    assert "embedding by 0 (median), 0 at most" in again["notes"][1]
    assert publish(config, paths, "clip_image", []) == 2
    assert not (live.version(2) / "labels.txt").exists()
    live.check(2)
    of_the_first_row(paths.onnx("clip_image"))
    wrong = verify(config, paths, "clip_image")
    assert not wrong["ship"]
    assert any("batch 2" in reason for reason in wrong["why"])
    assert not any("batch 1:" in reason for reason in wrong["why"])
    assert rollback(live, []) == 1


@pytest.mark.slow
def test_what_callers_know_of_a_network_must_stay(project: Project) -> None:
    config, paths = project.config, project.paths
    assert verify(config, paths, "clip_image")["ship"]
    publish(config, paths, "clip_image", [])
    path = paths.triton_repo / "clip_image" / "config.pbtxt"
    text = path.read_text()
    path.write_text(text.replace('string_value: "50.0"', 'string_value: "20.0"'))
    (reason,) = verify(config, paths, "clip_image")["why"]
    assert "logit_scale: expected '50.0', got '20.0'" in reason
    path.write_text(text.replace("max_batch_size: 64", "max_batch_size: 2"))
    assert any("64 served, 2" in why for why in verify(config, paths, "clip_image")["why"])


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_what_the_stages_ask(project: Project, name: str) -> None:
    session = OnnxSession(project.paths.onnx(name), device="cpu")
    videos = [project.videos / "yard.mp4"]
    rows = seen_by(name, session, project.config, project.paths.tracks, videos, 5)
    (array,) = rows.values()
    assert len(array) == 5
    assert array.dtype == session.inputs[0].dtype
    assert np.ptp(array.reshape(5, -1), axis=0).max() > 0.1, "pictures that differ"


def bring_all(project: Project) -> None:
    """Publish every network as one that passed its gate; the recognizers have labeled gates."""
    config, paths = project.config, project.paths
    for name in (*NETWORKS, "protogcn", "clip_gru"):
        live, candidate = live_model(config, paths, name), Candidate.at(paths.triton_repo / name)
        said = {"model": name, "ship": True, "served": None, "test": {"sha256": ""},
                "candidate": {"sha256": candidate.sha256}}  # fmt: skip
        bring(live, candidate, said, {"sha256": candidate.sha256}, [], 5)


@pytest.mark.slow
def test_behaviour_is_judged_by_the_stages_code_and_published(project: Project) -> None:
    config, paths = project.config, project.paths
    publish_behaviour("behaviour", config, paths)
    early = verify(config, paths, "behaviour")
    assert not early["ship"]
    assert "yolo11-seg is not published" in early["why"][0]
    bring_all(project)
    said = verify(config, paths, "behaviour")
    assert said["ship"], said["why"]
    assert sum("= the stages' code" in check["name"] for check in said["checks"]) == 4
    live = LiveModel(paths.root / config.release.repository, "behaviour")
    with EmbeddedTriton(live.repository, [*NETWORKS, "protogcn", "clip_gru"]) as server:
        assert publish(config, paths, "behaviour", [Control(server.http_url)]) == 1
        assert Control(server.http_url).ready()["behaviour"] == [1]
        frames = [frame for frame, _ in zip(decode(project.videos / "yard.mp4"), range(40))]  # noqa: B905
        with Client(server.grpc_url) as client:
            found = client.behaviour([f.rgb for f in frames], [f.time_s for f in frames])
        assert len(found.box) > 40
    entry = paths.triton_repo / "behaviour" / "1" / "model.py"
    entry.write_text(
        entry.read_text()
        + "\nfrom vigil.serving.behaviour.stream import Stream\n\n_take = Stream._take\n"
        + "Stream._take = lambda self, fs, *rest: _take(self, [f[:, ::-1] for f in fs], *rest)\n"
    )
    wrong = verify(config, paths, "behaviour")
    assert not wrong["ship"]
    assert all("= the stages' code" in reason for reason in wrong["why"])


@pytest.mark.slow
def test_behaviour_of_other_networks_than_the_published_ones_does_not_ship(
    project: Project,
) -> None:
    config, paths = project.config, project.paths
    publish_behaviour("behaviour", config, paths)
    path = paths.triton_repo / "clip_image" / "config.pbtxt"
    path.write_text(path.read_text().replace("max_batch_size: 64", "max_batch_size: 32"))
    bring_all(project)
    (reason,) = verify(config, paths, "behaviour")["why"]
    assert "clip_image: version 1 is another than it was made for" in reason
