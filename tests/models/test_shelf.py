"""Every registered recognizer of skeletons: built, trained, judged, exported and served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.skeletons import CLASSES, annotation, config, write_set
from vigil import models
from vigil.config import Config, load
from vigil.dataset import read_annotations, select, tensors
from vigil.evaluation import predict
from vigil.export import export
from vigil.models import store
from vigil.serving.repository import check_model, parse_labels
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TritonSession
from vigil.training import train

LAYOUTS = ["coco", "coco_new", {
    "num_joints": 5, "parents": [0, 0, 0, 1, 2], "center": 0, "mirror": [0, 2, 1, 4, 3],
    "sources": [[11, 12], [5], [6], [9], [10]]}]  # fmt: skip
SKELETONS = [name for name in models.types() if name != "clip_gru"]  # see test_clip_gru
ROOT = Path(__file__).parent.parent.parent
AWKWARD = {"Einsum", "Loop", "If", "Scan", "AdaptiveAvgPool", "GlobalAveragePool", "Resize"}


@dataclass(frozen=True)
class Trained:
    """One recognizer of every type, trained on the same clips."""

    config: Config
    annotations: Path
    root: Path

    def folder(self, name: str) -> Path:
        """Return the folder of the recognizer `name`, trained when first asked for."""
        folder = self.root / "models" / name
        if not folder.exists():
            train(name, self.config, self.annotations, folder, self.root / "work")
        return folder

    @property
    def test(self) -> list[dict[str, Any]]:
        """The test clips; the second has one person, the third nobody."""
        rows = select(*read_annotations(self.annotations), "test")
        rows[1]["keypoint_score"][1], rows[1]["keypoint"][1] = 0.0, 0.0
        rows[2]["keypoint_score"][:], rows[2]["keypoint"][:] = 0.0, 0.0
        return rows

    def publish(self, name: str) -> dict[str, Any]:
        """Export the recognizer `name` into the shared repository."""
        return export(
            self.folder(name), self.root / "repository", self.test, self.config.export
        )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("shelf")
    write_set(root / "annotations.pkl")
    return Trained(config(), root / "annotations.pkl", root)


def graph_of(name: str, **changes: Any) -> torch.nn.Module:
    """Build a recognizer as it is served, its weights random and no gain zero."""
    cfg = config()
    values = cfg.models[name].model_dump() | changes
    section = type(cfg.models[name]).model_validate(values)
    spec = store.ModelSpec.of(name, CLASSES, {name: section}, cfg.dataset)
    torch.manual_seed(0)
    graph = store.build(spec).inference_graph()
    for key, parameter in graph.named_parameters():
        if key.endswith(("alpha", "beta")):
            torch.nn.init.normal_(parameter)
        elif not parameter.any() or (parameter.abs() < 1e-5).all():
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return graph


def clips(persons: int = 2, there: int = 2) -> tuple[Tensor, Tensor]:
    """Return (3, persons, 16, 17, 3) clips in which the first `there` persons are, and sizes."""
    rng = np.random.default_rng(0)
    x = np.zeros((3, persons, 16, 17, 3), np.float32)
    x[:, :there, ..., :2] = rng.uniform(50, 300, (3, 2, 16, 17, 2))[:, :there]
    x[:, :there, ..., 2] = 0.9
    return torch.from_numpy(x), torch.full((3, 2), 640.0)


def test_every_type_has_an_entry_in_the_shipped_parameters() -> None:
    shipped = load(ROOT / "params.yaml")[0]
    assert {entry.type for entry in shipped.models.values()} == set(models.types())


@pytest.mark.parametrize("name", SKELETONS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=["coco", "coco_new", "own"])
def test_it_reads_pixels_and_gives_probabilities(name: str, layout: Any) -> None:
    changes = {"layout": layout, "stages": (1, 2)}
    if name == "kinematics":
        if layout != "coco":
            pytest.skip("its statistics are of COCO's joints; other layouts are refused")
        changes = {}
    graph = graph_of(name, **changes)
    with torch.inference_mode():
        probabilities, logits = graph(*clips())
    assert probabilities.shape == logits.shape == (3, 2)
    torch.testing.assert_close(probabilities, logits.softmax(1))
    assert logits.std(0).min() > 0, "it looks at the clips"


@pytest.mark.parametrize("name", SKELETONS)
def test_empty_person_slots_change_nothing(name: str) -> None:
    graph = graph_of(name)
    with torch.inference_mode():
        answers = [graph(*clips(persons, there=1))[1] for persons in (1, 2, 4)]
    torch.testing.assert_close(answers[0], answers[1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(answers[0], answers[2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SKELETONS)
def test_it_can_tell_fast_from_slow_after_a_few_steps(name: str) -> None:
    cfg = config()
    keypoints, sizes, labels = tensors([annotation(i, i % 2) for i in range(12)], cfg.dataset)
    feeds, wanted = (torch.from_numpy(keypoints), torch.from_numpy(sizes)), torch.from_numpy(labels)
    torch.manual_seed(0)
    graph = store.build(
        store.ModelSpec.of(name, CLASSES, cfg.models, cfg.dataset)
    ).inference_graph().train()  # fmt: skip
    optimizer = torch.optim.Adam(graph.parameters(), lr=0.01)
    for _ in range(60):
        loss = cross_entropy(graph(*feeds)[1], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.2:
            return
    raise AssertionError(f"loss {loss:.3f}")


@pytest.mark.parametrize("name", SKELETONS)
def test_it_is_trained_and_judged(name: str, trained: Trained) -> None:
    found = predict(trained.folder(name), trained.test)
    assert found.shape == (len(trained.test), len(CLASSES))
    np.testing.assert_allclose(found.sum(1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", SKELETONS)
def test_it_is_exported_equal_to_torch_with_a_configuration_that_fits(
    name: str, trained: Trained
) -> None:
    parity = trained.publish(name)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    path = trained.root / "repository" / name / "1" / "model.onnx"
    keypoints, sizes, _ = tensors(trained.test, trained.config.dataset)
    found = OnnxSession(path, device="cpu").run({"keypoints": keypoints, "image_size": sizes})
    largest = max(1.0, float(np.abs(found["logits"]).max()))  # float32 has 7 digits
    assert max(parity["max_difference"].values()) < 1e-5 * largest
    check_model(trained.root / "repository" / name)
    graph = onnx.load(str(path))
    assert (graph.ir_version, graph.opset_import[0].version) == (8, 17)
    assert not AWKWARD & {node.op_type for node in graph.graph.node}
    session = OnnxSession(path, device="cpu")
    assert session.metadata["type"] == name
    assert parse_labels(session.metadata["labels"]) == list(CLASSES)


@pytest.mark.parametrize("name", SKELETONS)
def test_a_training_begins_with_the_weights_it_is_given(
    name: str, trained: Trained, tmp_path: Path
) -> None:
    """With a learning rate of nearly nothing the given weights come out as they went in."""
    given = str(trained.folder(name) / "model.safetensors")
    still = config(init=given, lr=1e-12, epochs=1, weight_decay=0.0, ema_momentum=0.0)
    train(name, still, trained.annotations, tmp_path / "model", tmp_path / "work")
    before, _ = store.load(trained.folder(name))
    after, _ = store.load(tmp_path / "model")
    for key, value in before.named_parameters():
        torch.testing.assert_close(after.get_parameter(key), value, atol=1e-6, rtol=0, msg=key)


@pytest.mark.slow
def test_triton_serves_every_one_and_answers_as_torch_does(trained: Trained) -> None:
    for name in SKELETONS:
        trained.publish(name)
    keypoints, sizes, _ = tensors(trained.test, trained.config.dataset)
    feeds = {"keypoints": keypoints, "image_size": sizes}
    with EmbeddedTriton(trained.root / "repository") as server:
        assert set(server.providers) == set(SKELETONS)
        for name in SKELETONS:
            served = TritonSession(server.grpc_url, name, "grpc").run(feeds)
            wanted = predict(trained.folder(name), trained.test)
            np.testing.assert_allclose(served["probabilities"], wanted, atol=1e-5)
