"""Windows of simulated scenes as CLIP sees them, and the pretraining on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from tests.conftest import ROOT
from vigil.config import load
from vigil.demo import films
from vigil.demo.clip_data import make_crops
from vigil.demo.train_clip_gru import pretrain, pretraining
from vigil.models import store
from vigil.perception import clip_network


def columns(count: int = 400) -> films.Columns:
    """Two people, their pair and the frame, in turns."""
    kinds = np.array([[1, -1], [2, -1], [1, 2], [-1, -1]])
    return {"time_s": np.repeat(np.arange(count) / 5, 4), "track": np.tile(kinds, (count, 1))}


def test_a_detector_misses_people_and_never_the_frame() -> None:
    before = columns()
    after = films.mistaken(before, np.random.default_rng(0))
    frames = [(one["track"][:, 0] < 0).sum() for one in (before, after)]
    assert frames[0] == frames[1]
    assert 0.9 < len(after["track"]) / len(before["track"]) < 0.99


def test_an_exchange_leaves_each_moment_with_the_same_people() -> None:
    exchanged = 0
    for seed in range(12):
        before = columns() | {"who": np.tile([1, 2, 3, 0], 400)}
        after = films.mistaken(before, np.random.default_rng(seed))
        alone = (after["track"][:, 0] >= 0) & (after["track"][:, 1] < 0)
        wrong = alone & (after["track"][:, 0] != after["who"])
        exchanged += wrong.any()
        assert (after["track"][after["who"] == 3] == [1, 2]).all()
        if wrong.any():  # and once exchanged, for good
            later = after["time_s"] > after["time_s"][wrong].min()
            assert wrong[later & alone].all()
    assert 0 < exchanged < 12


@pytest.mark.slow
def test_a_tiny_pretraining_goes_from_crops_to_weights(tmp_path: Path) -> None:
    config, _ = load(ROOT / "params.yaml")
    for name in ("train_film", "val_film"):
        make_crops(tmp_path / name, 1, 3, name.split("_")[0], workers=1, every_s=0.5)
    network = clip_network.build("demo")
    save_file(
        {k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "c.safetensors"
    )
    out = tmp_path / "out"
    found = pretrain(out, tmp_path, tmp_path / "c.safetensors", pretraining(config, 1, "", 1e-3))
    assert found["n"]
    assert found["train"]
    spec = store.ModelSpec.of("clip_gru", config.classes, config.models, config.dataset)
    assert store.begin(store.build(spec), out / "clip_gru.safetensors", spec.classes) == []
