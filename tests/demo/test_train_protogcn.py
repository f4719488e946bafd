"""Pretraining: a tiny run end to end, and its weights as the beginning of another training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.skeletons import config, write_set
from vigil.demo.train_protogcn import pretrain, pretraining
from vigil.models import store
from vigil.training import train


def test_a_tiny_pretraining_gives_weights_that_another_training_begins_with(tmp_path: Path) -> None:
    settings = config().model_copy(update={"classes": ("normal", "assault", "faint")})
    found = pretrain(tmp_path, 40, pretraining(settings, 1, ""), workers=1)
    assert found["n"]
    weights = tmp_path / "protogcn.safetensors"
    write_set(tmp_path / "annotations.pkl")
    later = config(init=str(weights), epochs=1, lr=1e-9)
    train("protogcn", later, tmp_path / "annotations.pkl", tmp_path / "later", tmp_path / "work")
    before = store.load(tmp_path / "model")[0].backbone.state_dict()
    after = store.load(tmp_path / "later")[0].backbone.state_dict()
    learned = [key for key in before if "running" not in key and "tracked" not in key]
    for key in learned:
        np.testing.assert_allclose(after[key], before[key], atol=1e-5)
