"""The gate lets pass what is right and not worse, and names what is wrong with the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import networks
from tests.release import plants
from vigil.release.candidate import Candidate
from vigil.release.gate.contract import contract
from vigil.release.gate.judging import Served, judge
from vigil.release.gate.page import page
from vigil.release.gate.parity import parity, reference
from vigil.release.live import LiveModel
from vigil.release.project import served as served_of
from vigil.session import OnnxSession


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("served")
    live = LiveModel(folder / "live", "tiny")
    plants.release(live, plants.model(folder / "old"))
    found = served_of(live)
    assert found is not None
    return found


def ask(folder: Path, served: Served | None = None, scale: float = plants.SCALE) -> dict[str, Any]:
    return judge(plants.case(folder, served, scale), 60)


def failed(verdict: dict[str, Any]) -> dict[str, set[str]]:
    """Return the failed checks by topic."""
    found: dict[str, set[str]] = {}
    for check in verdict["checks"]:
        if not check["passed"]:
            found.setdefault(check["topic"], set()).add(check["name"])
    return found


def parities(folder: Path) -> dict[str, bool]:
    """Compare ONNX Runtime alone with PyTorch."""
    feeds = plants.READS.batch(plants.split(24).rows).feeds
    right = reference(plants.torch_twin(), feeds, plants.GATE.tolerance)
    session = OnnxSession(folder / "1" / "model.onnx")
    return {check.name: check.passed for check in parity(right, {"it": session.run}, [1, 2, 3, 8])}


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        pytest.param(None, set(), id="none"),
        pytest.param(
            plants.first_row_for_all,
            {"batch 2", "batch 3", "batch 8", "8 callers", "neighbors alone"},
            id="rows above batch 1",
        ),
        pytest.param(plants.spread_nan, {"neighbors alone"}, id="NaN spreads"),
    ],
)
def test_each_planted_fault_fails_its_own_questions(
    tmp_path: Path, fault: plants.Change | None, wrong: set[str]
) -> None:
    folder = plants.model(tmp_path)
    if fault:
        plants.plant(folder, fault)
    answers = parities(folder)
    assert len(answers) == 6
    for question, passed in answers.items():
        assert passed != any(question.endswith(words) for words in wrong), question


@pytest.mark.parametrize(
    ("old", "new", "question"),
    [
        pytest.param('"clip_len" value { string_value: "4"', '"clip_len" value { string_value: "5"',
                     "facts in the config.pbtxt", id="T"),
        pytest.param('"coco"', '"coco_new"', "facts in the config.pbtxt", id="layout"),
        pytest.param("max_batch_size: 8", "max_batch_size: 4", "largest batch", id="batch"),
        pytest.param('"onnxruntime"', '"python"', "files agree", id="backend"),
    ],
)  # fmt: skip
def test_what_the_files_say_must_be_what_was_trained_and_is_served(
    tmp_path: Path, served: Served, old: str, new: str, question: str
) -> None:
    folder = plants.model(tmp_path)
    path = folder / "config.pbtxt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    verdict = ask(folder, served)
    assert not verdict["ship"]
    assert [reason for reason in verdict["why"] if question in reason]
    assert verdict["metrics"] == {}, "a model that lies about itself is not started"


def test_labels_permuted_in_every_file_alike_are_noticed(tmp_path: Path, served: Served) -> None:
    folder = plants.model(tmp_path, labels=("assault", "normal", "faint"))
    verdict = ask(folder, served)
    names = {"labels, as trained", "labels in the network", "labels, as served",
             "facts in the network"}  # fmt: skip
    assert failed(verdict)["contract"] == names


def test_the_stream_of_the_checkpoint_must_stand_in_the_network(tmp_path: Path) -> None:
    folder = plants.model(tmp_path)
    wanted = {"labels": json.dumps(list(plants.CLASSES)), "stream": "jm"}
    checks = contract(Candidate.at(folder), None, plants.CLASSES, wanted, plants.READS.facts)
    assert [check.detail for check in checks if not check.passed] == [
        "stream: expected 'jm', got None"
    ]


@pytest.mark.slow
def test_the_same_network_ships_and_the_page_says_so(tmp_path: Path, served: Served) -> None:
    verdict = ask(plants.model(tmp_path), served)
    assert verdict["why"] == []
    assert verdict["ship"]
    assert verdict["served"]["version"] == 1
    asked = {check["name"] for check in verdict["checks"]}
    assert {"Triton over HTTP = PyTorch, batch 8", "Triton over gRPC = PyTorch, batch 1"} <= asked
    assert {"accuracy not worse than served", "latency p95", "labels, as served"} <= asked
    text = page(verdict)
    assert ">Ship<" in text
    assert "callers over gRPC" in text
    json.dumps(verdict, allow_nan=False)


@pytest.mark.slow
def test_wrong_rows_above_batch_1_do_not_ship(tmp_path: Path, served: Served) -> None:
    folder = plants.model(tmp_path)
    plants.plant(folder, plants.first_row_for_all)
    verdict = ask(folder, served)
    wrong = failed(verdict)["parity"]
    assert "Triton over HTTP = PyTorch, batch 1" not in wrong
    assert {
        f"Triton over {p} = PyTorch, batch {b}" for p in ("HTTP", "gRPC") for b in (2, 3, 8)
    } <= (wrong)
    assert ">Do not ship<" in page(verdict)


@pytest.mark.slow
def test_a_worse_network_does_not_ship_though_it_is_exported_well(
    tmp_path: Path, served: Served
) -> None:
    folder = plants.model(tmp_path)
    networks.recognizer(folder / "1" / "model.onnx", scale=-plants.SCALE)
    verdict = ask(folder, served, scale=-plants.SCALE)
    assert failed(verdict).keys() == {"quality"}
    assert "accuracy not worse than served" in failed(verdict)["quality"]
    assert "worse" in verdict["why"][0]


@pytest.mark.slow
def test_a_slow_network_does_not_ship(tmp_path: Path, served: Served) -> None:
    folder = plants.model(tmp_path)
    plants.plant(folder, plants.slow)
    verdict = ask(folder, served)
    assert failed(verdict).keys() == {"speed"}
    assert "latency p50" in failed(verdict)["speed"]  # p95 hangs on what else the machine does
    assert "times the served model's" in verdict["why"][0]


@pytest.mark.slow
def test_a_network_the_server_cannot_load_is_a_verdict_and_no_crash(
    tmp_path: Path, served: Served
) -> None:
    folder = plants.model(tmp_path)
    path = folder / "config.pbtxt"
    path.write_text(path.read_text().replace('string_value: "1"', 'string_value: "many"', 1))
    verdict = ask(folder, served)
    assert failed(verdict) == {"contract": {"the server loads it"}}
    assert "expected an integer" in verdict["why"][0]


def test_names_in_a_verdict_are_escaped(tmp_path: Path) -> None:
    folder = plants.model(tmp_path)
    (folder / "labels.txt").write_text("<script>\nb\nc\n")
    text = page(ask(folder))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
