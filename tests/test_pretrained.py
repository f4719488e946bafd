"""The networks that stages load: put in place from shipped weights or from files of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import networks
from vigil.config import load
from vigil.errors import InputError, ModelError
from vigil.pretrained import install, write_network_config
from vigil.serving.repository import check_model
from vigil.session import OnnxSession
from vigil.weights import MIRROR_VARIABLE

Project = Callable[[dict[str, Any]], Path]


def say(_: str) -> None:
    """Nobody listens."""


@pytest.mark.slow
def test_the_demo_networks_are_exported_at_the_size_of_the_parameters(
    params: dict[str, Any], project: Project
) -> None:
    config, paths = load(project(params))
    roles = {item.role: item for item in install(config, paths, say)}
    assert set(roles) == {"detector", "pose", "segmenter", "clip"}
    side = config.embed.crop_px
    assert OnnxSession(roles["clip"].path).inputs[0].shape == (None, side, side, 3)
    text = OnnxSession(paths.clip_text)
    assert text.metadata == OnnxSession(roles["clip"].path).metadata
    assert check_model(paths.triton_repo / "clip_image").parameters["clip"].string_value == (
        roles["clip"].source
    )
    sizes = {"detector": config.mask.detector.input_size, "pose": config.skeletons.input_size}
    for role, (width, height) in sizes.items():
        assert OnnxSession(roles[role].path).inputs[0].shape == (None, 3, height, width)
        served = check_model(roles[role].path.parent.parent)
        assert list(served.input[0].dims) == [3, height, width]
    assert "AGPL" in roles["detector"].license
    assert roles["segmenter"].path.suffix == ".safetensors"


def test_files_of_ones_own_are_found_by_name_in_the_mirror(
    params: dict[str, Any], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    graph = networks.mlp(mirror / "my.onnx").read_bytes()
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    params["weights"] = {
        "set": "files",
        "detector": "my.onnx",
        "segmenter": "",
        "pose": "my.onnx",
        "clip": "",
    }
    config, paths = load(project(params))
    install(config, paths, say)
    assert paths.onnx("yolo11").read_bytes() == graph
    assert paths.onnx("rtmo").read_bytes() == graph
    for name in ("yolo11", "rtmo"):
        assert check_model(paths.triton_repo / name).max_batch_size == 8


def test_a_graph_of_one_row_is_served_as_it_is(tmp_path: Path) -> None:
    graph = networks.mlp(tmp_path / "eye" / "1" / "model.onnx", batch=1)
    write_network_config(tmp_path / "eye", graph, "an eye")
    served = check_model(tmp_path / "eye")
    assert (served.max_batch_size, list(served.input[0].dims)) == (0, [1, 8])
    assert not served.HasField("dynamic_batching")


def test_a_file_that_is_nowhere_is_one_clear_line(params: dict[str, Any], project: Project) -> None:
    params["weights"] = {
        "set": "files",
        "detector": "no.onnx",
        "segmenter": "",
        "pose": "no.onnx",
        "clip": "",
    }
    config, paths = load(project(params))
    with pytest.raises(InputError, match=r"no\.onnx: expected an ONNX file"):
        install(config, paths, say)


def own_clip(params: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    networks.mlp(folder / "my.onnx")
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    params["weights"] = {"set": "files", "detector": "my.onnx", "segmenter": "",
                         "pose": "my.onnx", "clip": str(folder / "eye.onnx")}  # fmt: skip


def test_a_clip_of_ones_own_brings_its_text_encoder_and_its_configuration(
    params: dict[str, Any], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_clip(params, tmp_path / "mirror", monkeypatch)
    networks.color_clip(tmp_path / "mirror" / "eye.onnx")
    (tmp_path / "mirror" / "eye_text.onnx").write_bytes(b"text")
    config, paths = load(project(params))
    assert install(config, paths, say)[-1].role == "clip"
    assert paths.clip_text.read_bytes() == b"text"
    served = check_model(paths.triton_repo / "clip_image")
    assert list(served.input[0].dims) == [16, 16, 3]
    assert list(served.output[0].dims) == [4]
    assert served.parameters["logit_scale"].string_value == "50.0"


def test_a_clip_without_its_text_encoder_is_refused(
    params: dict[str, Any], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_clip(params, tmp_path / "mirror", monkeypatch)
    networks.color_clip(tmp_path / "mirror" / "eye.onnx")
    config, paths = load(project(params))
    with pytest.raises(InputError, match=r"eye_text\.onnx: expected an ONNX file"):
        install(config, paths, say)


def test_a_graph_that_is_no_image_encoder_is_refused_as_clip(
    params: dict[str, Any], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_clip(params, tmp_path / "mirror", monkeypatch)
    networks.mlp(tmp_path / "mirror" / "eye.onnx")
    (tmp_path / "mirror" / "eye_text.onnx").write_bytes(b"text")
    config, paths = load(project(params))
    with pytest.raises(ModelError, match="expected crops uint8"):
        install(config, paths, say)
