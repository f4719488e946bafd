"""The exported graph equals torch at every batch size, says what it is, and fits its config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from pydantic import TypeAdapter

from tests.skeletons import annotation, config, write_set
from vigil import export as exporting
from vigil.config import ModelSection
from vigil.dataset import tensors
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.serving.repository import check_model, parse_labels
from vigil.session import OnnxSession

CLASSES = ("normal", "assault", "실신")


def save_model(folder: Path, **params: Any) -> store.ModelSpec:
    """Save a recognizer with random weights whose motion topology is not zero."""
    cfg = config()
    sections = {"protogcn": cfg.models["protogcn"].model_copy(update=params)}
    spec = store.ModelSpec.of("protogcn", CLASSES, sections, cfg.dataset)
    torch.manual_seed(0)
    recognizer = store.build(spec)
    for name, parameter in recognizer.named_parameters():
        if name.endswith(("alpha", "beta", "global_weight")):
            torch.nn.init.normal_(parameter)
    store.save(folder, recognizer.state_dict(), spec)
    return spec


def clips(count: int = 11) -> list[dict[str, Any]]:
    rows = [annotation(i, i % 2) for i in range(count)]
    for row, persons in ((rows[0], 1), (rows[1], 0)):
        for name in ("keypoint", "keypoint_score"):
            row[name] = row[name][:persons]
    return rows


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"layout": "coco_new", "stream": "j+bm", "norm": "body", "stages": (1, 1)},
        {"norm": "image", "stream": "k", "min_score": 0.1},
    ],
)
def test_onnx_runtime_equals_torch_at_every_batch(tmp_path: Path, params: dict[str, Any]) -> None:
    save_model(tmp_path / "model", **params)
    parity = exporting.export(tmp_path / "model", tmp_path / "repo", clips(), config().export)
    assert list(parity["max_difference"]) == ["1", "2", "3", "8", "9"]
    assert max(parity["max_difference"].values()) < 1e-5
    check_model(tmp_path / "repo" / "protogcn")


def test_the_file_is_opset_17_ir_8_with_metadata_and_one_dynamic_axis(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    exporting.export(tmp_path / "model", tmp_path / "repo", clips(), config().export)
    path = tmp_path / "repo/protogcn/1/model.onnx"
    model = onnx.load(str(path))
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert not [node for node in model.graph.node if node.op_type == "Einsum"]
    session = OnnxSession(path, device="cpu")
    assert [str(spec) for spec in (*session.inputs, *session.outputs)] == [
        "keypoints float32 (*, 2, 16, 17, 3)", "image_size float32 (*, 2)",
        "probabilities float32 (*, 3)", "logits float32 (*, 3)",
    ]  # fmt: skip
    assert parse_labels(session.metadata["labels"]) == list(CLASSES)
    assert session.metadata["clip_len"] == "16"
    assert {"layout", "stream", "norm", "sampling", "max_persons"} <= set(session.metadata)


def test_whatever_is_no_text_stands_in_the_metadata_as_json(tmp_path: Path) -> None:
    own = {"num_joints": 3, "parents": [0, 0, 0], "center": 0, "mirror": [0, 2, 1],
           "sources": [[11, 12], [5], [6]]}  # fmt: skip
    params = config().models["protogcn"].model_dump() | {"layout": own, "stages": (1, 1)}
    section = TypeAdapter(ModelSection).validate_python(params)
    told = exporting.metadata(
        store.ModelSpec.of("protogcn", CLASSES, {"protogcn": section}, config().dataset)
    )
    assert all(isinstance(value, str) for value in told.values())
    assert json.loads(told["layout"]).items() >= own.items()
    assert json.loads(told["stages"]) == [1, 1]
    assert told["stream"] == "jm", "text is not quoted"
    named = store.ModelSpec.of("protogcn", CLASSES, config().models, config().dataset)
    assert exporting.metadata(named)["layout"] == "coco"


def test_a_difference_raises_and_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another network's file in place of the exported one is noticed."""
    save_model(tmp_path / "model")
    write = exporting.write_onnx

    def corrupt(graph: Any, path: Path, spec: store.ModelSpec) -> None:
        write(graph, path, spec)
        with torch.no_grad():
            graph.head.fc.bias += 0.01

    monkeypatch.setattr(exporting, "write_onnx", corrupt)
    with pytest.raises(ModelError, match=r"protogcn: batch 1: expected .* within 0.0001"):
        exporting.export(tmp_path / "model", tmp_path / "repo", clips(), config().export)
    assert not list((tmp_path / "repo").rglob("*.onnx"))
    assert not list((tmp_path / "repo").rglob("*.part"))


def test_no_clip_to_compare_on_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    with pytest.raises(InputError, match="at least one clip"):
        exporting.export(tmp_path / "model", tmp_path / "repo", [], config().export)


def test_training_and_serving_see_the_same_numbers(tmp_path: Path) -> None:
    """mmaction2's test pipeline and `vigil.dataset.tensors` give the recognizer the same array."""
    from vigil.models.pipeline import AnnotationDataset, pipeline

    write_set(tmp_path / "annotations.pkl")
    cfg = config()
    data = AnnotationDataset(
        str(tmp_path / "annotations.pkl"), pipeline=pipeline(cfg.dataset, None), split="test",
        test_mode=True,
    )  # fmt: skip
    rows = [data.get_data_info(i) for i in range(len(data))]
    keypoints, sizes, labels = tensors(rows, cfg.dataset)
    for index in range(len(data)):
        packed = data[index]
        np.testing.assert_array_equal(packed["inputs"].numpy()[0], keypoints[index])
        assert packed["data_samples"].metainfo["img_shape"] == tuple(sizes[index][::-1])
        assert int(packed["data_samples"].gt_labels.item) == labels[index]
