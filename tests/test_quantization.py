"""int8 networks are what old runtimes load, say how they were made, and stay near fp32."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests import test_export
from tests.conftest import ROOT
from tests.skeletons import config
from vigil import export as exporting
from vigil.config import Config, ExportSection
from vigil.errors import InputError, ModelError
from vigil.items import file_hash
from vigil.quantization import TWIN, drawn, precision_of, quantize
from vigil.serving.repository import parse_config
from vigil.session import OnnxSession

KEEP = ("/prepare/", "/head/fc/")  # one block, which is the first: it must not stay fp32


def section(precision: str = "int8", **int8: Any) -> ExportSection:
    """Return the export's parameters for int8, three clips to calibrate."""
    base = config().export
    own = base.int8.model_copy(update={"clips": 3, **int8})
    return base.model_copy(
        update={"precision": {"protogcn": precision}, "keep_fp32": KEEP, "int8": own}
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A model's folder with its repository beside, exported as int8."""
    folder = tmp_path_factory.mktemp("int8")
    test_export.save_model(folder / "model")
    rows = test_export.clips()
    return folder, exporting.export(folder / "model", folder / "repo", rows, section(), rows)


def network(folder: Path, name: str = "model.onnx") -> Path:
    return folder / "repo" / "protogcn" / "1" / name


def test_the_file_is_opset_17_ir_8_of_standard_operators(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    model = onnx.load(str(network(exported[0])))
    assert model.ir_version == 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert {output.type.tensor_type.shape.dim[0].dim_param for output in model.graph.output} == {
        "batch"
    }
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds


def test_what_keeps_fp32_and_products_of_activations_are_not_quantized(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    graph = onnx.load(str(network(exported[0]))).graph
    made = {out: node.op_type for node in graph.node for out in node.output}
    weights = {tensor.name for tensor in graph.initializer}
    quantized = {
        node.name for node in graph.node if made.get(node.input[0] if node.input else "") ==
        "DequantizeLinear" and node.op_type in {"Conv", "MatMul", "Gemm"}
    }  # fmt: skip
    assert quantized
    assert not [name for name in quantized if any(part in name for part in KEEP)]
    products = {
        node.name for node in graph.node
        if node.op_type == "MatMul" and not weights & set(node.input)
        and made.get(node.input[1]) != "DequantizeLinear"
    }  # fmt: skip
    assert products
    assert not products & quantized


def test_weights_are_signed_bytes_with_a_scale_per_channel(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    graph = onnx.load(str(network(exported[0]))).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    convs = [
        node for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors
        and len(tensors[node.input[0]].dims) == 4
    ]  # fmt: skip
    assert convs
    for node in convs:
        weight, scale = tensors[node.input[0]], tensors[node.input[1]]
        assert weight.data_type == onnx.TensorProto.INT8
        assert list(scale.dims) == [weight.dims[0]]


def test_metadata_says_precision_clips_and_hashes(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, report = exported
    told = OnnxSession(network(folder), device="cpu").metadata
    twin = OnnxSession(network(folder, TWIN), device="cpu").metadata
    assert (precision_of(told), precision_of(twin)) == ("int8", "fp32")
    assert told["fp32_sha256"] == file_hash(network(folder, TWIN))
    calibration = json.loads(told["calibration"])
    assert (calibration["clips"], calibration["rows"]) == (3, 3)
    assert report["calibration"] == calibration
    assert told.items() >= twin.items(), "what clients read stays"


def test_answers_are_near_fp32s(exported: tuple[Path, dict[str, Any]]) -> None:
    gap = exported[1]["to_fp32"]
    assert gap["agreement"] > 0.9
    assert 0 < gap["largest"] < 0.1


def test_calibration_is_drawn_by_seed_and_other_clips_give_another_hash(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    params = section().int8
    assert list(drawn(99, params)) == list(drawn(99, params))
    assert list(drawn(99, params)) != list(drawn(99, params.model_copy(update={"seed": 1})))
    assert list(drawn(2, params)) == [0, 1], "fewer clips than asked for: all"
    folder, report = exported
    feeds = {
        "keypoints": np.ones((3, 2, 16, 17, 3), np.float32),
        "image_size": np.full((3, 2), 640, np.float32),
    }
    told = quantize(network(folder, TWIN), tmp_path / "other.onnx", section(), feeds, 3)
    assert told["calibration"]["sha256"] != report["calibration"]["sha256"]


def test_back_to_fp32_leaves_no_twin(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(exported[0], tmp_path / "copy")
    folder = tmp_path / "copy"
    exporting.export(folder / "model", folder / "repo", test_export.clips(), section("fp32"))
    assert precision_of(OnnxSession(network(folder), device="cpu").metadata) == "fp32"
    assert not network(folder, TWIN).exists()


def test_nothing_to_calibrate_with_or_to_quantize_is_refused(
    exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = exported[0]
    with pytest.raises(InputError, match="expected training clips to calibrate int8"):
        exporting.export(folder / "model", tmp_path, test_export.clips(), section())
    nothing = section().model_copy(update={"keep_fp32": ("/",)})
    with pytest.raises(ModelError, match="expected something to quantize"):
        exporting.export(
            folder / "model", tmp_path, test_export.clips(), nothing, test_export.clips()
        )
    assert not (tmp_path / "protogcn" / "1" / "model.onnx").exists()


def test_only_recognizers_have_a_precision() -> None:
    values = config().model_dump()
    values["export"]["precision"] = {"nobody": "int8"}
    with pytest.raises(ValueError, match=r"export\.precision: expected recognizers"):
        Config.model_validate(values)


def test_the_documented_tensorrt_setting_is_valid_and_reaches_onnx_runtime() -> None:
    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    found = parse_config(text[text.index("optimization { exec") :].split("```")[0])
    (accelerator,) = found.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert accelerator.parameters["precision_mode"] == "FP16"
    backend = (ROOT / "vigil/serving/backends/onnxruntime/onnx_configuration.py").read_text("utf-8")
    for key in accelerator.parameters:
        assert f'"{key}"' in backend, f"{key}: the embedded backend would ignore it"
