"""Training on images that are drawn meanwhile, for seconds on a CPU: plumbing, not quality."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vigil.config import load
from vigil.demo import train_stream
from vigil.demo.drawing import draw_shard
from vigil.demo.image_store import ImageStore
from vigil.demo.images import make_images, scene_seeds
from vigil.demo.learners import LEARNERS
from vigil.errors import InputError
from vigil.weights import SHIPPED

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.cuda.amp.autocast:FutureWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("network", sorted(LEARNERS))
def test_the_loss_falls_on_images_seen_again_and_again(network: str) -> None:
    store = ImageStore(8, train_stream.IMAGE_SIZE, torch.device("cpu"))
    store.add(draw_shard(scene_seeds("train", 42, 4)))
    learner = LEARNERS[network](torch.device("cpu"), SHIPPED / f"{network}.safetensors")
    learner.run.model.train()
    recipe = replace(learner.recipe, batch=4)
    train_stream.set_schedule(learner.run, replace(recipe, learning_rate=3e-4), 0.2)
    view = train_stream.view(learner, 1.0)
    losses = [
        train_stream.step(learner, store, view, torch.Generator().manual_seed(1), recipe)
        for _ in range(12)
    ]
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.slow
@pytest.mark.parametrize("network", sorted(LEARNERS))
def test_the_command_writes_weights_that_load_and_figures(network: str, tmp_path: Path) -> None:
    make_images(tmp_path / "val", 3, seed=1, split="val", workers=1)
    out = tmp_path / "out"
    init = SHIPPED / f"{network}.safetensors"
    cfg, paths = load(ROOT / "params.yaml")
    cfg = cfg.model_copy(update={"workers": 1})
    arguments = Namespace(network=network, out=out, init=init, minutes=0.05, seed=43, images=40,
                          first=30, batch=2, val=tmp_path / "val")  # fmt: skip
    train_stream.main(cfg, paths, arguments)
    before, after = load_file(init), load_file(out / f"{network}.safetensors")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert json.loads((out / "metrics.json").read_text())["images"] == 3
    assert (out / "log.csv").is_file()


def test_a_store_too_small_for_the_first_images_is_refused(tmp_path: Path) -> None:
    cfg, paths = load(ROOT / "params.yaml")
    with pytest.raises(InputError, match=r"--first: expected at most 20 \(--images\), got 30"):
        train_stream.main(cfg, paths, Namespace(first=30, images=20))


def test_whole_images_are_seen_at_the_end_only() -> None:
    learner = LEARNERS["yolo11n"]
    early, late = (train_stream.view(learner, share) for share in (0.79, 0.81))  # type: ignore[arg-type]
    assert early.zoom[1] > 1.2
    assert late.zoom == (0.95, 1.05)
    assert (late.anchor, late.focus) == ((0.5, 0.5), 0.0)
