"""Pretraining: a tiny run end to end, and its weights as the beginning of another training."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from tests.skeletons import config, write_set
from vigil.dataset import read_annotations, select, write_annotations
from vigil.demo.train_protogcn import join, pretrain, pretraining
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


def test_rendered_windows_are_learned_from_twice_and_held_out_once(tmp_path: Path) -> None:
    write_set(tmp_path / "simulated.pkl")
    splits, rows = read_annotations(tmp_path / "simulated.pkl")
    drawn = [row | {"frame_dir": f"drawn_{place}"} for place, row in enumerate(rows)]
    names = [row["frame_dir"] for row in drawn]
    parts: dict[str, list[str]] = {"train": names[2:], "val": names[:2], "test": []}
    write_annotations(tmp_path / "rendered.pkl", parts, drawn)
    joined = join(tmp_path / "simulated.pkl", tmp_path / "rendered.pkl", tmp_path / "joined.pkl")
    found = read_annotations(joined)
    train = [row["frame_dir"].split("#")[0] for row in select(*found, "train")]
    held_out = [row["frame_dir"] for row in select(*found, "val")]
    assert held_out == [*splits["val"], *names[:2]]
    assert Counter(train) == Counter([*splits["train"], *names[2:], *names[2:]])


def test_a_share_of_what_is_learned_is_kept(tmp_path: Path) -> None:
    settings = config().model_copy(update={"classes": ("normal", "assault", "faint")})
    pretrain(tmp_path / "first", 20, pretraining(settings, 1, ""), workers=1)
    begun = tmp_path / "first" / "protogcn.safetensors"
    later = pretraining(settings, 1, str(begun))
    (tmp_path / "second").mkdir()
    shutil.copyfile(tmp_path / "first" / "simulated.pkl", tmp_path / "second" / "simulated.pkl")
    pretrain(tmp_path / "second", 20, later, share=0.25)
    before, trained, kept = (
        load_file(path)
        for path in (
            begun,
            tmp_path / "second" / "model" / "model.safetensors",
            tmp_path / "second" / "protogcn.safetensors",
        )
    )
    moved = 0.0
    for name, values in kept.items():
        if values.is_floating_point():
            torch.testing.assert_close(values, 0.75 * before[name] + 0.25 * trained[name])
            moved = max(moved, float((trained[name] - before[name]).abs().max()))
    assert moved > 0.001
