"""The gate lets a well quantized network pass and stops one whose calibration saw nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.release import plants
from tests.release.test_gate import failed
from tests.skeletons import config
from vigil.quantization import TWIN, quantize
from vigil.release.candidate import Candidate
from vigil.release.gate.judging import Case, judge
from vigil.release.gate.page import page
from vigil.release.gate.precision import precision


def int8(folder: Path, seen: float = 1.0) -> Path:
    """Write an int8 network with its fp32 twin; calibration saw real joints times `seen`."""
    made = plants.model(folder)
    path = made / "1" / "model.onnx"
    path.rename(path.with_name(TWIN))
    feeds = plants.READS.batch(plants.split(40).rows).feeds
    feeds["keypoints"] = feeds["keypoints"] * np.float32(seen)
    quantize(path.with_name(TWIN), path, config().export, feeds, 40)
    return made


def case(folder: Path, wanted: str = "int8") -> Case:
    """Put it before the gate where nothing is served; how long it takes is not the question."""
    found = plants.case(folder)
    params = found.params.model_copy(update={"max_slowdown": 100.0})
    return replace(found, trained=replace(found.trained, precision=wanted), params=params)


@pytest.mark.slow
def test_a_well_quantized_network_ships_and_the_page_names_its_precision(tmp_path: Path) -> None:
    verdict = judge(case(int8(tmp_path)), 60)
    assert verdict["why"] == []
    assert verdict["precision"] == "int8"
    assert verdict["metrics"]["fp32"]["agreement"] > 0.9
    assert verdict["speed"]["models"].keys() == {"candidate", "fp32"}
    asked = {check["name"] for check in verdict["checks"]}
    assert {"fp32 = PyTorch, batch 8", "Triton over gRPC = its own answer, batch 8",
            "ONNX Runtime: a row of NaN leaves its neighbors alone",
            "accuracy not worse than its fp32 network", "latency p50"} <= asked  # fmt: skip
    text = page(verdict)
    assert "Precision: int8." in text
    assert "its fp32 network" in text


@pytest.mark.slow
def test_a_network_calibrated_on_zeros_does_not_ship(tmp_path: Path) -> None:
    """It answers alike in every batch and over every protocol, and its classes are right."""
    verdict = judge(case(int8(tmp_path, seen=0.0)), 60)
    assert not verdict["ship"]
    assert failed(verdict).keys() == {"quality"}
    assert "probabilities near its fp32 network's" in failed(verdict)["quality"]
    assert ">Do not ship<" in page(verdict)


def names(checks: list[Any]) -> list[str]:
    return [check.name for check in checks if not check.passed]


def test_a_precision_nobody_asked_for_and_another_twin_are_noticed(tmp_path: Path) -> None:
    folder = int8(tmp_path / "int8")
    candidate = Candidate.at(folder)
    assert names(precision(candidate, "int8")[1]) == []
    assert names(precision(candidate, "fp32")[1]) == ["precision, as asked for"]
    plain = Candidate.at(plants.model(tmp_path / "plain"))
    assert names(precision(plain, "int8")[1]) == ["precision, as asked for"]
    twin = folder / "1" / TWIN
    twin.write_bytes(twin.read_bytes() + b"\0")
    assert names(precision(candidate, "int8")[1]) == ["its fp32 network lies beside"]
    assert not judge(case(folder), 60)["ship"], "without its twin it is not even started"
