"""YOLO11 is built, kept, read and exported without losing anything or running foreign code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from vigil import compat
from vigil.errors import ModelError
from vigil.perception import yolo_network
from vigil.session import OnnxSession


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A random network of two classes whose normalization has seen data."""
    torch.manual_seed(0)
    model = yolo_network.build("yolo11n", ("person", "dog"))
    model.train()
    with torch.no_grad():
        model(torch.rand(4, 3, 64, 96))
    return model.eval()


def outputs(model: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(images))[0].numpy()


def test_exported_graph_answers_like_the_network_at_any_batch(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    graph = tmp_path / "yolo.onnx"
    yolo_network.export(network, graph, height=64, width=96)
    session = OnnxSession(graph)
    for batch in (1, 3):
        images = np.random.default_rng(batch).random((batch, 3, 64, 96), dtype=np.float32)
        answer = session.run({"images": images})["output0"]
        assert answer.shape == (batch, 6, 8 * 12 + 4 * 6 + 2 * 3)
        np.testing.assert_allclose(answer, outputs(network, images), atol=1e-3)


def test_exported_graph_is_one_every_runtime_loads(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    """Opset 17 and IR 8, batch the only free axis, class names inside, no leftovers."""
    yolo_network.export(network, tmp_path / "yolo.onnx", height=64, width=96)
    graph = onnx.load(tmp_path / "yolo.onnx")
    assert (graph.ir_version, graph.opset_import[0].version) == (8, 17)
    axes = graph.graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_param or axis.dim_value for axis in axes] == ["batch", 3, 64, 96]
    assert {p.key: p.value for p in graph.metadata_props}["names"] == "person,dog"
    assert [path.name for path in tmp_path.iterdir()] == ["yolo.onnx"]


def test_segmentation_variant_exports_prototypes(tmp_path: Path) -> None:
    yolo_network.export(yolo_network.build("yolo11n-seg"), tmp_path / "seg.onnx", 64, 64)
    answer = OnnxSession(tmp_path / "seg.onnx").run(
        {"images": np.zeros((2, 3, 64, 64), np.float32)}
    )
    assert answer["output0"].shape == (2, 4 + 1 + 32, 84)
    assert answer["output1"].shape == (2, 32, 16, 16)


def test_saved_weights_rebuild_the_same_network(network: torch.nn.Module, tmp_path: Path) -> None:
    yolo_network.save(network, tmp_path / "yolo11n.safetensors")
    again = yolo_network.load(tmp_path / "yolo11n.safetensors")
    images = np.random.default_rng(0).random((1, 3, 64, 96), dtype=np.float32)
    assert again.names == {0: "person", 1: "dog"}
    np.testing.assert_allclose(outputs(again, images), outputs(network, images), atol=0.1)


def test_official_checkpoint_is_read_without_unpickling_code(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    torch.save({"model": network.half(), "ema": None}, tmp_path / "yolo11n.pt")
    network.float()
    again = yolo_network.load(tmp_path / "yolo11n.pt")
    images = np.random.default_rng(0).random((1, 3, 64, 96), dtype=np.float32)
    np.testing.assert_allclose(outputs(again, images), outputs(network, images), atol=0.1)


class _Foreign:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def test_checkpoint_with_foreign_code_is_refused(tmp_path: Path) -> None:
    """All that is foreign is named, in order, whatever else this process has read before."""
    compat.bridge_checkpoints()
    torch.save({"model": _Foreign()}, tmp_path / "yolo11n.pt")
    with pytest.raises(ModelError, match=r"parts inside, got pathlib\.Path, pathlib\.PosixPath$"):
        yolo_network.load(tmp_path / "yolo11n.pt")


def test_checkpoint_with_parts_that_are_not_here_is_refused(tmp_path: Path) -> None:
    """As of another ultralytics, whose networks have parts that ours has not."""
    torch.save({"model": torch.nn.SiLU()}, tmp_path / "silu.pt")
    with (
        zipfile.ZipFile(tmp_path / "silu.pt") as known,
        zipfile.ZipFile(tmp_path / "yolo11n.pt", "w") as later,
    ):
        for name in known.namelist():
            later.writestr(name, known.read(name).replace(b"SiLU", b"SoLU"))
    with pytest.raises(ModelError, match=r"network parts inside, got torch.nn.*activation.SoLU"):
        yolo_network.load(tmp_path / "yolo11n.pt")


def test_weights_of_another_variant_are_refused(network: torch.nn.Module, tmp_path: Path) -> None:
    yolo_network.save(network, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="expected weights of yolo11s"):
        yolo_network.load(tmp_path / "x.safetensors", "yolo11s")


@pytest.mark.parametrize("variant", ["yolov8n", "yolo11", "yolo11n-pose"])
def test_unknown_variant_is_refused(variant: str) -> None:
    with pytest.raises(ModelError, match="expected yolo11"):
        yolo_network.build(variant)


def test_missing_file_and_odd_size_are_refused(network: torch.nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a weights file"):
        yolo_network.load(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="multiples of 32, got 100x64"):
        yolo_network.export(network, tmp_path / "x.onnx", height=64, width=100)
