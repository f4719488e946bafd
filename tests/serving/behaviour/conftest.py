"""A project of red people whose whole way to behavior is published, and its server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.stages.project import Project
from tests.videos import film, walk
from vigil.models.reading import SequenceReading, SkeletonReading
from vigil.models.store import ModelSpec
from vigil.pretrained import write_clip_config, write_network_config
from vigil.schema import write_json
from vigil.sequences import Cut
from vigil.serving.behaviour.publish import publish_behaviour
from vigil.serving.behaviour.spec import BehaviourSpec
from vigil.serving.behaviour.stream import Pipeline
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession
from vigil.video import decode

SECONDS = 7


def red_project(root: Path) -> Project:
    """A project with a film, every network, and recognizers that look at places and colors."""
    project = Project(root)
    project.values["embed"] |= {"crop_px": 16, "every_s": 0.25}
    project.values["export"]["max_batch"] = 8
    project.values["clips"] |= {"length_s": 2.0, "stride_s": 1.0, "min_length_s": 1.0}
    project.save()
    film(project.videos / "yard.mp4", [walk(40), walk(400, -3), _late], frames=12 * SECONDS)
    paths = project.paths
    for name in ("yolo11-seg", "rtmo"):
        write_network_config(paths.triton_repo / name, paths.onnx(name), name)
    networks.color_clip(paths.onnx("clip_image"))
    write_clip_config(paths.triton_repo / "clip_image", paths.onnx("clip_image"))
    networks.recognizer_model(paths.triton_repo, "protogcn")
    networks.sequence_recognizer(paths.onnx("clip_gru"))
    networks.configure(
        paths.triton_repo / "clip_gru", "embeddings FP32 8,4", "probabilities FP32 3; logits FP32 3"
    )
    cut = Cut(8, 1.0, 0.5, ("person", "pair"), 24, 0.25)
    reads = {
        "protogcn": SkeletonReading(4, 2, "stretch", test_clips=2, test_mirror=True),
        "clip_gru": SequenceReading(4, cut, "max", 3, 0, "test/colors"),
    }
    for name, reading in reads.items():
        spec = ModelSpec(name, project.config.classes, {}, reading)
        write_json(paths.model(name) / "model.json", asdict(spec))
    return project


def _late(frame: int) -> int | None:
    return 200 + 2 * frame if frame > 30 else None


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return red_project(tmp_path_factory.mktemp("behaviour") / "p")


@pytest.fixture(scope="package")
def spec(project: Project) -> BehaviourSpec:
    return publish_behaviour("behaviour", project.config, project.paths)


@pytest.fixture(scope="package")
def pipeline(project: Project, spec: BehaviourSpec) -> Pipeline:
    paths = project.paths
    return Pipeline.of(spec, lambda network: OnnxSession(paths.onnx(network.model), device="cpu"))


@pytest.fixture(scope="package")
def footage(project: Project) -> tuple[np.ndarray, np.ndarray]:
    """The film as (T, H, W, 3) pixels and (T,) seconds."""
    frames = list(decode(project.videos / "yard.mp4"))
    return np.stack([f.rgb for f in frames]), np.array([f.time_s for f in frames])


@pytest.fixture(scope="package")
def server(project: Project, spec: BehaviourSpec) -> Iterator[EmbeddedTriton]:
    with EmbeddedTriton(project.paths.triton_repo) as running:
        yield running
