"""The networks that stages load: put in place from shipped weights or from files of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vigil.config import load
from vigil.errors import InputError
from vigil.pretrained import install
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
    assert set(roles) == {"detector", "pose", "segmenter"}
    sizes = {"detector": config.mask.detector.input_size, "pose": config.skeletons.input_size}
    for role, (width, height) in sizes.items():
        assert OnnxSession(roles[role].path).inputs[0].shape == (None, 3, height, width)
    assert "AGPL" in roles["detector"].license
    assert roles["segmenter"].path.suffix == ".safetensors"


def test_files_of_ones_own_are_found_by_name_in_the_mirror(
    params: dict[str, Any], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "my.onnx").write_bytes(b"graph")
    monkeypatch.setenv(MIRROR_VARIABLE, str(mirror))
    params["weights"] = {"set": "files", "detector": "my.onnx", "segmenter": "", "pose": "my.onnx"}
    config, paths = load(project(params))
    install(config, paths, say)
    assert paths.onnx("yolo11").read_bytes() == b"graph"
    assert paths.onnx("rtmo").read_bytes() == b"graph"


def test_a_file_that_is_nowhere_is_one_clear_line(params: dict[str, Any], project: Project) -> None:
    params["weights"] = {"set": "files", "detector": "no.onnx", "segmenter": "", "pose": "no.onnx"}
    config, paths = load(project(params))
    with pytest.raises(InputError, match=r"no\.onnx: expected an ONNX file"):
        install(config, paths, say)
