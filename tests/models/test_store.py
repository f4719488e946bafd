"""A training begins with the weights it was told to, or says in one line why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.skeletons import config
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.training import key, train


@pytest.fixture(scope="module")
def trained(annotations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train("protogcn", config(epochs=1), annotations, folder / "model", folder / "work")
    return folder / "model"


def fresh(**model: Any) -> tuple[store.Recognizer, store.ModelSpec]:
    cfg = config()
    section = cfg.models["protogcn"].model_copy(update=model)
    spec = store.ModelSpec.of("protogcn", cfg.classes, {"protogcn": section}, cfg.dataset)
    torch.manual_seed(1)
    return store.build(spec), spec


def test_all_of_the_same_network_is_taken(trained: Path) -> None:
    recognizer, spec = fresh()
    assert store.begin(recognizer, trained / "model.safetensors", spec.classes) == []
    for name, value in load_file(trained / "model.safetensors").items():
        assert torch.equal(recognizer.state_dict()[name], value), name


def test_training_really_begins_there(annotations: Path, trained: Path, tmp_path: Path) -> None:
    """With a learning rate of almost nothing it ends there as well, the classifier included."""
    cfg = config(epochs=1, lr=1e-12, ema_momentum=0.0, init=str(trained))
    train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    begun, ended = (load_file(f / "model.safetensors") for f in (trained, tmp_path / "model"))
    learned = [name for name in begun if name.endswith((".weight", ".bias"))]
    assert "cls_head.fc.weight" in learned
    for name in learned:
        torch.testing.assert_close(ended[name], begun[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize("classes", [("normal", "faint"), ("assault", "normal")])
def test_the_classifier_of_other_classes_is_left(trained: Path, classes: tuple[str, ...]) -> None:
    recognizer, _ = fresh()
    before = recognizer.cls_head.fc.weight.clone()
    left = store.begin(recognizer, trained / "model.safetensors", classes)
    assert sorted(left) == ["cls_head.fc.bias", "cls_head.fc.weight"]
    assert torch.equal(recognizer.cls_head.fc.weight, before)


def test_the_classifier_of_more_classes_is_left(trained: Path) -> None:
    _, spec = fresh()
    three = store.ModelSpec(**(vars(spec) | {"classes": ("normal", "assault", "faint")}))
    left = store.begin(store.build(three), trained / "model.safetensors", three.classes)
    assert sorted(left) == ["cls_head.fc.bias", "cls_head.fc.weight"]


@pytest.mark.parametrize("other", [{"base_channels": 16}, {"stages": (1, 1)}, {"stream": "j+jm"}])
def test_weights_of_another_network_are_refused(trained: Path, other: dict[str, Any]) -> None:
    recognizer, spec = fresh(**other)
    with pytest.raises(ModelError, match=r"expected weights of the same network, got [0-9]+ tens"):
        store.begin(recognizer, trained / "model.safetensors", spec.classes)


@pytest.mark.parametrize("content", [None, b"no tensors"])
def test_a_missing_or_damaged_file_is_one_line(
    annotations: Path, tmp_path: Path, content: bytes | None
) -> None:
    source = tmp_path / "given"
    source.mkdir()
    if content:
        (source / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"init: .*expected trained weights") as caught:
        train("protogcn", config(init=str(source)), annotations, tmp_path / "m", tmp_path / "w")
    assert "\n" not in str(caught.value)


def test_an_unknown_shipped_name_is_one_line(annotations: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing_such"):
        train("protogcn", config(init="demo/nothing_such"), annotations, tmp_path, tmp_path)


def test_other_weights_to_begin_with_are_another_training(
    annotations: Path, trained: Path, tmp_path: Path
) -> None:
    cfg = config(init=str(tmp_path / "model.safetensors"))
    keys = {key("protogcn", config(), annotations, None)}
    for content in (b"one", b"other"):
        (tmp_path / "model.safetensors").write_bytes(content)
        keys.add(key("protogcn", cfg, annotations, None))
    assert len(keys) == 3
