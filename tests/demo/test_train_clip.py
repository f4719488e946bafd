"""The demo's CLIP learns, continues after a kill as if there had been none, and is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vigil.demo import checkpoints, train_clip
from vigil.demo.captions import ACTIONS
from vigil.demo.clip_metrics import zero_shot
from vigil.demo.train_clip import Recipe, contrast, sentences
from vigil.errors import InputError
from vigil.perception import clip_network

RECIPE = Recipe(minutes=0.01, batch=12, warm_up=0.0)


def columns(count: int = 30) -> dict[str, np.ndarray]:
    """Crops whose class is their color: gray walking, red punching, blue lying."""
    rng = np.random.default_rng(0)
    label = np.arange(count) % 3
    color = np.array([(120, 120, 120), (220, 30, 30), (30, 30, 220)])[label]
    noise = rng.integers(-20, 20, (count, 72, 72, 3))
    action = np.array([ACTIONS.index(name) for name in ("walk", "punch", "lie")])[label]
    none = np.full(count, -1)
    return {"crops": np.clip(color[:, None, None] + noise, 0, 255).astype(np.uint8),
            "kind": np.zeros(count, int), "label": label, "action": action, "shirt": none,
            "trousers": none, "night": np.zeros(count, int), "scene": np.arange(count) // 3,
            "joints": np.zeros((count, 2, 17, 2), np.float16),
            "visible": np.zeros((count, 2, 17), np.uint8)}  # fmt: skip


def folder(tmp_path: Path) -> Path:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        np.savez(tmp_path / part / "crops.npz", **columns())  # type: ignore[arg-type]
    return tmp_path


def test_the_loss_is_least_where_the_right_sentences_are_nearest() -> None:
    right = torch.tensor([[True, False], [False, True]])
    eye, scale = torch.eye(2), torch.tensor(10.0)
    assert contrast(eye, eye, scale, right) < 0.01 < contrast(eye, eye.flip(0), scale, right)


def test_two_true_sentences_share_the_belief() -> None:
    both = torch.ones(2, 2, dtype=torch.bool)
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert float(contrast(vectors, vectors, torch.tensor(5.0), both)) == pytest.approx(np.log(2))


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_each_crop_has_a_true_sentence_and_fights_are_never_normal(mode: int) -> None:
    table = columns()
    rows = np.arange(12)
    texts, right = sentences(table, rows, mode, np.random.default_rng(0))
    assert len(texts) == 12
    assert right.diagonal().all()
    other = table["label"][rows][:, None] != table["label"][rows][None]
    assert not right[other].any()


@pytest.mark.slow
def test_a_killed_training_goes_on_with_the_very_numbers(tmp_path: Path) -> None:
    table = columns()
    unbroken, broken = train_clip.start(RECIPE), train_clip.start(RECIPE)
    for _ in range(2):
        train_clip.step(unbroken, table, {}, RECIPE)
        train_clip.step(broken, table, {}, RECIPE)
    checkpoints.save(broken, tmp_path / "c.pt")
    again = train_clip.start(Recipe(batch=12, seed=9))
    checkpoints.resume(again, tmp_path / "c.pt")
    assert again.iteration == 2
    first = train_clip.step(unbroken, table, {}, RECIPE)
    assert train_clip.step(again, table, {}, RECIPE) == first
    for name, value in unbroken.average.state_dict().items():
        torch.testing.assert_close(again.average.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.slow
def test_it_learns_to_name_colors_that_stand_for_classes() -> None:
    recipe = Recipe(batch=24, learning_rate=1e-3, averaging=0.8)
    run, table = train_clip.start(recipe), columns()
    for _ in range(60):
        train_clip.step(run, table, {}, recipe)
    figures = zero_shot(clip_network.wrap(run.average.clip), table, resamples=20)
    assert set(figures) == {"person"}
    assert figures["person"]["balanced"] > 0.9
    low, high = figures["person"]["interval"]
    assert low <= figures["person"]["balanced"] <= high


def test_what_is_written_is_small_and_can_be_loaded(tmp_path: Path) -> None:
    figures = train_clip.train(folder(tmp_path), tmp_path / "out", RECIPE)
    path = tmp_path / "out" / "clip.safetensors"
    assert path.stat().st_size < 12e6
    assert clip_network.load(path, "demo").dim == clip_network.DIMENSIONS["demo"]
    assert figures["person"]["n"] == 30
    assert (tmp_path / "out" / "metrics.json").is_file()


def test_crops_that_nobody_could_name_are_never_drawn() -> None:
    table = columns()
    table["label"][:20] = -1
    for seed in range(3):
        assert train_clip.draw(table, RECIPE, np.random.default_rng(seed)).min() >= 20


def test_missing_crops_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected train"):
        train_clip.train(tmp_path, tmp_path / "out", RECIPE)
