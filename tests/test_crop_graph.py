"""Crops in, probabilities out: one graph that equals CLIP and CLIP-GRU run in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tests import networks
from tests.skeletons import CLASSES, config
from tests.tracks import clip
from vigil.crop_graph import embed, publish_crops
from vigil.errors import ModelError
from vigil.export import export
from vigil.models import store
from vigil.serving.repository import check_model
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession, TritonSession

SIDE = 12


def image_encoder(
    path: Path, side: int = SIDE, dim: int = 16, kind: int = TensorProto.UINT8
) -> Path:
    """Write a network from (B, S, S, 3) crops to (B, dim) vectors of length 1."""
    rng = np.random.default_rng(0)
    weights = {
        "matrix": rng.standard_normal((side * side * 3, dim), np.float32),
        "shape": np.array([-1, side * side * 3]),
    }
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embeddings"], axis=-1, p=2),
    ]
    crops = helper.make_tensor_value_info("crops", kind, ["batch", side, side, 3])
    vectors = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", dim])
    return networks.save(path, nodes, [crops], [vectors], weights)


@pytest.fixture
def published(tmp_path: Path) -> tuple[store.ModelSpec, Path]:
    """A CLIP-GRU of random weights in a repository, beside an image encoder."""
    cfg = config()
    spec = store.ModelSpec.of("clip_gru", CLASSES, cfg.models, cfg.dataset)
    torch.manual_seed(0)
    store.save(tmp_path / "clip_gru", store.build(spec).state_dict(), spec)
    repository = tmp_path / "repo"
    export(tmp_path / "clip_gru", repository, [clip(0, 1), clip(1, 0)], cfg.export)
    image_encoder(repository / "clip_image" / "1" / "model.onnx")
    return spec, repository


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 8, SIDE, SIDE, 3), np.uint8)


def test_it_equals_the_two_in_turn_at_every_batch(published: tuple[store.ModelSpec, Path]) -> None:
    spec, repository = published
    image = repository / "clip_image/1/model.onnx"
    parity = publish_crops(spec, repository, image, config().export)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    assert max(parity["max_difference"].values()) < 1e-5
    served = check_model(repository / "clip_gru_crops")
    assert list(served.input[0].dims) == [8, SIDE, SIDE, 3]
    session = OnnxSession(repository / "clip_gru_crops/1/model.onnx", device="cpu")
    assert [str(one) for one in (*session.inputs, *session.outputs)] == [
        f"crops uint8 (*, 8, {SIDE}, {SIDE}, 3)",
        "probabilities float32 (*, 2)", "logits float32 (*, 2)",
    ]  # fmt: skip
    assert session.metadata["side"] == str(SIDE)
    found = onnx.load(str(session.path))
    assert (found.ir_version, [entry.version for entry in found.opset_import]) == (8, [17])
    answers = session.run({"crops": crops(3)})["probabilities"]
    assert np.ptp(answers[:, 0]) > 1e-4, "it looks at the crops"


def test_every_sequence_keeps_its_own_crops(published: tuple[store.ModelSpec, Path]) -> None:
    spec, repository = published
    publish_crops(spec, repository, repository / "clip_image/1/model.onnx", config().export)
    session = OnnxSession(repository / "clip_gru_crops/1/model.onnx", device="cpu")
    together = session.run({"crops": crops(4)})["probabilities"]
    alone = [session.run({"crops": crops(4)[i : i + 1]})["probabilities"][0] for i in range(4)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"dim": 32}, {"kind": TensorProto.FLOAT}])
def test_a_clip_that_does_not_fit_is_one_line(
    published: tuple[store.ModelSpec, Path], wrong: dict[str, int]
) -> None:
    spec, repository = published
    image = repository / "other.onnx"
    if "kind" in wrong:
        networks.mlp(image)
    else:
        image_encoder(image, **wrong)
    with pytest.raises(ModelError, match=r"expected \(\*, S, S, 3\) uint8 to \(\*, 16\)"):
        publish_crops(spec, repository, image, config().export)
    assert not (repository / "clip_gru_crops" / "1" / "model.onnx").exists()


def test_a_skeleton_recognizer_has_no_crops(published: tuple[store.ModelSpec, Path]) -> None:
    _, repository = published
    cfg = config()
    other = store.ModelSpec.of("protogcn", CLASSES, cfg.models, cfg.dataset)
    with pytest.raises(ModelError, match="protogcn: expected a recognizer of embeddings"):
        publish_crops(other, repository, repository / "clip_image/1/model.onnx", cfg.export)


@pytest.mark.slow
def test_triton_answers_as_the_two_in_turn(published: tuple[store.ModelSpec, Path]) -> None:
    spec, repository = published
    image = repository / "clip_image/1/model.onnx"
    publish_crops(spec, repository, image, config().export)
    vectors = embed(OnnxSession(image, device="cpu"), crops(5))
    with EmbeddedTriton(repository, ["clip_gru", "clip_gru_crops"]) as server:
        turns = TritonSession(server.grpc_url, "clip_gru", "grpc").run({"embeddings": vectors})
        once = TritonSession(server.grpc_url, "clip_gru_crops", "grpc").run({"crops": crops(5)})
        again = TritonSession(server.http_url, "clip_gru_crops", "http").run({"crops": crops(5)})
    np.testing.assert_allclose(once["probabilities"], turns["probabilities"], atol=1e-5)
    np.testing.assert_allclose(again["probabilities"], turns["probabilities"], atol=1e-5)
