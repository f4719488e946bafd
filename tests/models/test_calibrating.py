"""Served probabilities hold as often as they say, as far as the validation clips can tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.skeletons import CLASSES, config
from tests.tracks import clip
from vigil import compat, models
from vigil.dataset import read_annotations, select
from vigil.errors import ModelError
from vigil.evaluation import predict
from vigil.export import export
from vigil.models import store
from vigil.session import OnnxSession
from vigil.training import train

compat.apply()

from vigil.models.calibrating import calibrated, most_probable  # noqa: E402  after the bridges


@pytest.fixture(scope="module")
def trained(annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The same training, calibrated and not."""
    folder = tmp_path_factory.mktemp("model")
    for wanted in (True, False):
        cfg = config(epochs=8, lr=0.1, ema_momentum=0.0, calibrate=wanted)
        train("stgcn", cfg, annotations, folder / str(wanted), folder / "work")
    return {wanted: folder / str(wanted) for wanted in (True, False)}


def log_loss(logits: np.ndarray, labels: np.ndarray, share: float = 1.0) -> Any:
    """Return the function from a temperature to the summed log loss."""
    rows = torch.from_numpy(logits)

    def loss(temperature: float) -> float:
        right = torch.log_softmax(rows / temperature, 1)[range(len(labels)), labels]
        return float(-share * right.sum())

    return loss


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5])
def test_with_many_videos_the_true_temperature_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    powers = np.exp(logits / true)
    chances = np.cumsum(powers / powers.sum(1, keepdims=True), axis=1)
    labels = (rng.random((len(logits), 1)) > chances).sum(1)
    assert most_probable(log_loss(logits, labels)) == pytest.approx(true, rel=0.05)


def test_without_a_video_it_is_one() -> None:
    assert most_probable(lambda _: 0.0) == pytest.approx(1.0, abs=1e-3)


def test_few_videos_without_a_mistake_do_not_make_it_certain() -> None:
    """All right is no proof of always right: the likelihood alone would fall for it, to 0."""
    logits, labels = np.tile([2.0, 0.0, 0.0], (4, 1)), np.zeros(4, np.int64)
    assert 0.5 < most_probable(log_loss(logits, labels)) < 1.0
    many = most_probable(log_loss(logits, labels, share=100.0))
    assert many < most_probable(log_loss(logits, labels)) / 2


def test_a_video_counts_once_however_many_clips_it_has(
    annotations: Path, trained: dict[bool, Path]
) -> None:
    recognizer, spec = store.load(trained[False])
    rows = select(*read_annotations(annotations), "val")
    more = [*rows, *(row for row in rows if row["video_id"] == rows[0]["video_id"])]
    state = recognizer.state_dict()
    once, twice = (calibrated(spec, state, part).temperature for part in (rows, more))
    assert twice == pytest.approx(once, abs=1e-6)
    assert calibrated(spec, state, rows[:1] * 50).temperature != pytest.approx(once, abs=1e-3)


def test_training_learns_it_on_the_validation_clips_and_changes_nothing_else(
    annotations: Path, trained: dict[bool, Path]
) -> None:
    (with_it, spec), (without, plain) = (store.load(trained[wanted]) for wanted in (True, False))
    assert plain.temperature == 1.0
    assert abs(spec.temperature - 1.0) > 1e-3
    for name, value in without.state_dict().items():
        assert torch.equal(with_it.state_dict()[name], value), name
    rows = select(*read_annotations(annotations), "val")
    right = [range(len(rows)), [row["label"] for row in rows]]
    after, before = (predict(trained[wanted], rows) for wanted in (True, False))
    assert -np.log(after[tuple(right)]).mean() < -np.log(before[tuple(right)]).mean()
    assert (after.argmax(1) == before.argmax(1)).all()


def test_the_exported_graph_answers_with_it_and_names_it(
    annotations: Path, trained: dict[bool, Path], tmp_path: Path
) -> None:
    rows = select(*read_annotations(annotations), "test")
    temperature = store.read_spec(trained[True]).temperature
    logits, facts = {}, {}
    for wanted, folder in trained.items():
        export(folder, tmp_path / str(wanted), rows, config().export)
        path = tmp_path / str(wanted) / "stgcn" / "1" / "model.onnx"
        feeds = store.read_spec(folder).reads.batch(rows).feeds
        logits[wanted] = OnnxSession(path, device="cpu").run(feeds)["logits"]
        facts[wanted] = {p.key: p.value for p in onnx.load(path).metadata_props}
    np.testing.assert_allclose(logits[True] * temperature, logits[False], rtol=1e-4, atol=1e-6)
    assert np.abs(logits[True] - logits[False]).max() > 1e-5
    assert json.loads(facts[True]["temperature"]) == temperature
    assert json.loads(facts[False]["temperature"]) == 1.0


@pytest.mark.parametrize("name", models.types())
def test_every_recognizer_divides_its_logits(name: str) -> None:
    cfg = config()
    spec = store.ModelSpec.of(name, CLASSES, cfg.models, cfg.dataset)
    generator = torch.Generator().manual_seed(1)
    feeds = [torch.rand((3, *one.dims), generator=generator) * 90 for one in spec.reads.inputs]
    found = []
    for temperature in (1.0, 2.0):
        torch.manual_seed(0)
        graph = store.build(replace(spec, temperature=temperature)).inference_graph()
        with torch.no_grad():
            found.append(graph(*feeds))
    (_, plain), (probabilities, divided) = found
    torch.testing.assert_close(divided, plain / 2, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(probabilities, divided.softmax(1))


@pytest.mark.parametrize("pool", ["max", "top", "mean"])
def test_sequences_are_calibrated_by_the_answer_of_their_clip(tmp_path: Path, pool: str) -> None:
    cfg = config()
    section = cfg.models["clip_gru"].model_copy(update={"pool": pool})
    spec = store.ModelSpec.of("clip_gru", CLASSES, {"clip_gru": section}, cfg.dataset)
    torch.manual_seed(0)
    recognizer = store.build(spec)
    recognizer.cls_head.fc.weight.data *= 30  # sure of itself
    rows = [clip(i, i % 2) for i in range(12)]
    found = calibrated(spec, recognizer.state_dict(), rows)
    assert abs(found.temperature - 1.0) > 0.02
    losses = {}
    for factor in (0.8, 1.0, 1.25):
        tried = replace(found, temperature=found.temperature * factor)
        store.save(tmp_path, recognizer.state_dict(), tried)
        said = predict(tmp_path, rows)[range(12), [row["label"] for row in rows]]
        prior = 0.5 * (np.log(tried.temperature) / np.log(2)) ** 2
        losses[factor] = prior - np.log(said.astype(np.float64)).sum()
    assert losses[1.0] == min(losses.values())


@pytest.mark.parametrize("value", ["0.0", "-1.0", "NaN", '"hot"'])
def test_a_spec_with_an_impossible_temperature_is_refused(
    trained: dict[bool, Path], tmp_path: Path, value: str
) -> None:
    text = json.loads((trained[True] / "model.json").read_text())
    text["temperature"] = "HERE"
    (tmp_path / "model.json").write_text(json.dumps(text).replace('"HERE"', value))
    with pytest.raises(ModelError, match="temperature"):
        store.read_spec(tmp_path)


def test_a_model_saved_before_there_was_one_has_none(
    trained: dict[bool, Path], tmp_path: Path
) -> None:
    text = json.loads((trained[True] / "model.json").read_text())
    del text["temperature"]
    (tmp_path / "model.json").write_text(json.dumps(text))
    assert store.read_spec(tmp_path).temperature == 1.0
