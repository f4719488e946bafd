"""The model repository: configurations are read, checked against the ONNX, and varied."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import networks
from vigil.errors import ModelError
from vigil.serving.repository import (
    check_model,
    parse_config,
    parse_labels,
    read_config,
    read_labels,
    render_config,
    stage_variant,
    versions,
    with_dynamic_batching,
    without_batching,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return networks.recognizer_model(tmp_path / "repository")


def test_a_model_that_fits_its_configuration_passes(model: Path) -> None:
    assert check_model(model).max_batch_size == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param('name: "tiny"', 'name: "huge"', "expected name 'tiny', got 'huge'", id="name"),
        pytest.param('"onnxruntime"', '"openvino"', "expected backend", id="backend"),
        pytest.param('"onnxruntime"', '"python"', "expected model.py", id="no entry"),
        pytest.param("dims: [2]", "dims: [3]", r"image_size: expected dims \[2\]", id="dims"),
        pytest.param("TYPE_FP32", "TYPE_INT32", "keypoints: expected TYPE_FP32, got", id="type"),
        pytest.param('"logits"', '"scores"', r"scores: expected one of \['logits'", id="output"),
        pytest.param('\\"faint\\"', '\\"fall\\"', "config.pbtxt says", id="labels"),
        pytest.param("dims", "dimensions", r"config\.pbtxt: expected a valid .*4:", id="syntax"),
        pytest.param(
            'input { name: "image_size" data_type: TYPE_FP32 dims: [2] }',
            "",
            r"inputs not configured: \['image_size'\]",
            id="missing input",
        ),
    ],
)
def test_a_contradiction_is_named(model: Path, old: str, new: str, message: str) -> None:
    path = model / "config.pbtxt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=message):
        check_model(model)


def test_batching_needs_a_dynamic_batch_axis(tmp_path: Path) -> None:
    model = networks.mlp_model(tmp_path)
    networks.mlp(model / "1" / "model.onnx", batch=1)
    with pytest.raises(ModelError, match="expected a dynamic batch axis for max_batch_size > 0"):
        check_model(model)


@pytest.mark.parametrize("labels", [["normal", "assault"], ["assault", "normal", "faint"], []])
def test_labels_must_be_the_networks(model: Path, labels: list[str]) -> None:
    (model / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    with pytest.raises(ModelError, match="labels"):
        check_model(model)


def test_every_version_is_checked(model: Path) -> None:
    networks.mlp(model / "10" / "model.onnx")
    (model / "configs").mkdir()
    assert [path.name for path in versions(model)] == ["1", "10"]
    with pytest.raises(ModelError, match=r"tiny/10: inputs not configured: \['x'\]"):
        check_model(model)


def test_a_model_without_versions_or_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"config\.pbtxt: expected a model configuration, got none"
    ):
        check_model(tmp_path)
    model = networks.configure(tmp_path / "empty", "x FP32 1", "y FP32 1")
    with pytest.raises(ModelError, match="expected a version folder such as 1/, got none"):
        check_model(model)


def test_a_configuration_survives_being_written_and_read(model: Path) -> None:
    config = read_config(model)
    assert parse_config(render_config(config)) == config


def test_variants_differ_in_batching_alone_and_leave_the_original_as_it_was(
    model: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    single = stage_variant(model, tmp_path / "staged", "single", without_batching)
    batched = stage_variant(model, tmp_path / "staged", "batched", with_dynamic_batching(5, 700))
    assert not check_model(single).HasField("dynamic_batching")
    config = check_model(batched)
    assert config.max_batch_size == 5
    assert config.dynamic_batching.max_queue_delay_microseconds == 700
    original, copy = read_config(model), read_config(single)
    original.ClearField("dynamic_batching")
    original.name = "single"
    assert copy == original
    assert read_labels(batched) == read_labels(model)
    after = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("text", ["a,b b", "a, b b", '["a", "b b"]'])
def test_labels_are_read_from_either_form(text: str) -> None:
    assert parse_labels(text) == ["a", "b b"]


def test_broken_labels_are_refused() -> None:
    with pytest.raises(ModelError, match="expected a JSON list of names"):
        parse_labels('["a"')
