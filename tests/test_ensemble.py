"""An ensemble is the weighted mean of its members, in torch, in ONNX and at every batch size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.skeletons import annotation, config
from vigil import ensemble
from vigil.errors import ModelError
from vigil.evaluation import predict
from vigil.export import publish
from vigil.models import store
from vigil.serving.repository import check_model
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TritonSession

STREAMS = {"j": 2.0, "b": 2.0, "jm": 1.0, "bm": 1.0}
ROWS = [annotation(i, i % 2) for i in range(11)]


def save(
    folder: Path, seed: int, classes: tuple[str, ...] = ("normal", "assault"), **params: Any
) -> Path:
    """Save a recognizer with random weights and confident answers."""
    cfg = config()
    sections = {folder.name: cfg.models["protogcn"].model_copy(update=params)}
    spec = store.ModelSpec.of(folder.name, classes, sections, cfg.dataset)
    torch.manual_seed(seed)
    recognizer = store.build(spec)
    state = {k: v * 20 if "cls_head.fc" in k else v for k, v in recognizer.state_dict().items()}
    store.save(folder, state, spec)
    return folder


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, float]:
    """Four streams with the paper's weights."""
    root = tmp_path_factory.mktemp("models")
    return {
        save(root / f"protogcn_{stream}", seed, stream=stream): weight
        for seed, (stream, weight) in enumerate(STREAMS.items())
    }


def test_its_answer_is_the_weighted_mean(members: dict[Path, float]) -> None:
    alone = np.stack([predict(folder, ROWS) for folder in members])
    wanted = np.average(alone, axis=0, weights=list(members.values()))
    assert np.ptp(alone, axis=0).max() > 0.05, "members that agree prove nothing"
    np.testing.assert_allclose(predict(members, ROWS), wanted, atol=1e-6)


def test_certain_members_give_finite_logits() -> None:
    """Where every member's probability of a class underflows, its logit does not."""
    from vigil.models.ensemble import EnsembleGraph

    class Sure(torch.nn.Module):
        def forward(self, keypoints: torch.Tensor, _: torch.Tensor) -> Any:
            logits = keypoints.new_tensor([[0.0, 200.0]])
            return torch.softmax(logits, 1), logits

    probabilities, logits = EnsembleGraph([Sure(), Sure()], [0.5, 0.5])(torch.zeros(1), None)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(probabilities, torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(logits, torch.tensor([[-200.0, 0.0]]))


def test_it_is_one_graph_equal_to_torch_at_every_batch(
    members: dict[Path, float], tmp_path: Path
) -> None:
    graph, spec = ensemble.load(members, "protogcn_4s")
    parity = publish(graph, spec, tmp_path, spec.reads.batch(ROWS).feeds, config().export)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    assert max(parity["max_difference"].values()) < 1e-5
    check_model(tmp_path / "protogcn_4s")
    session = OnnxSession(tmp_path / "protogcn_4s/1/model.onnx", device="cpu")
    assert [spec.name for spec in session.inputs] == ["keypoints", "image_size"]
    told = json.loads(session.metadata["members"])
    assert {name: member["weight"] for name, member in told.items()} == pytest.approx(
        {"protogcn_j": 1 / 3, "protogcn_b": 1 / 3, "protogcn_jm": 1 / 6, "protogcn_bm": 1 / 6}
    )
    assert told["protogcn_bm"]["stream"] == "bm"
    assert len(onnx.load(str(tmp_path / "protogcn_4s/1/model.onnx")).graph.input) == 2


@pytest.mark.parametrize(
    ("changes", "part"),
    [({"classes": ("assault", "normal")}, "classes"), ({"clip_len": 8}, "clip_len")],
)
def test_members_that_do_not_fit_are_refused(
    members: dict[Path, float], changes: dict[str, Any], part: str
) -> None:
    first = next(iter(members))
    _, spec = store.load(first)
    reads = replace(spec.reads, **{k: v for k, v in changes.items() if k != "classes"})
    other = replace(spec, name="other", reads=reads, classes=changes.get("classes", spec.classes))
    with pytest.raises(ModelError, match=f"mix: other: expected {part} of {first.name}"):
        ensemble.join("mix", [(spec, 0.5), (other, 0.5)])


def test_folds_of_an_ensemble_are_its_members_folds(members: dict[Path, float]) -> None:
    folder = next(iter(members))
    assert ensemble.at_fold(folder, 2) == folder / "fold_2"
    found = ensemble.at_fold(members, 1)
    assert found == {member / "fold_1": weight for member, weight in members.items()}


@pytest.mark.slow
def test_triton_serves_it_as_one_model(members: dict[Path, float], tmp_path: Path) -> None:
    graph, spec = ensemble.load(members, "protogcn_4s")
    feeds = spec.reads.batch(ROWS).feeds
    publish(graph, spec, tmp_path, feeds, config().export)
    with EmbeddedTriton(tmp_path) as server:
        for url, protocol in ((server.http_url, "http"), (server.grpc_url, "grpc")):
            served = TritonSession(url, "protogcn_4s", protocol)
            answer = served.run(feeds)
            wanted = predict(members, ROWS)
            np.testing.assert_allclose(answer["probabilities"], wanted, atol=1e-5)
            assert served.metadata["labels"] == json.dumps(list(spec.classes))
