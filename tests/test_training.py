"""Training learns, logs, resumes after a kill, and keeps folds apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.skeletons import config, write_set
from vigil.dataset import read_annotations, select, write_annotations
from vigil.errors import InputError, ModelError
from vigil.evaluation import predict
from vigil.models import store
from vigil.models.reading import SkeletonReading
from vigil.training import key, train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "annotations.pkl"
    write_set(path, 32, folds=3)
    return path


@pytest.mark.slow
def test_it_learns_what_two_classes_differ_by(annotations: Path, tmp_path: Path) -> None:
    cfg = config(epochs=20, lr=0.1, ema_momentum=0.2, batch_size=8)
    run = train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    splits, rows = read_annotations(annotations)
    test = select(splits, rows, "test")
    found = predict(tmp_path / "model", test)
    assert np.mean(found.argmax(1) == [row["label"] for row in test]) >= 0.9
    losses = curve(run, "train/loss")
    assert list(losses) == list(range(20))
    assert float(losses[19]) < float(losses[0])
    metrics = json.loads((run / "live/metrics.json").read_text())
    assert {"loss", "accuracy", "macro_f1"} <= set(metrics["val"])


def curve(run: Path, name: str) -> dict[int, str]:
    """Return a logged metric as text by step; a step logged twice counts as logged last."""
    lines = (run / f"live/plots/metrics/{name}.tsv").read_text().splitlines()[1:]
    return {int(step): value for step, value in (line.split("\t") for line in lines)}


def weights(folder: Path) -> dict[str, Any]:
    return dict(load_file(folder / "model.safetensors"))


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a | b)


def epochs(work: Path) -> list[int]:
    return [int(path.stem.removeprefix("epoch_")) for path in work.glob("*/epoch_*.pth")]


@pytest.mark.slow
def test_a_training_killed_twice_gives_what_an_unbroken_one_gives(
    annotations: Path, tmp_path: Path
) -> None:
    """SIGKILL after epochs 2 and 5; losses, validation and weights agree to the last digit."""
    settings = {"epochs": 9, "warmup_epochs": 2, "select": "best", "patience_epochs": 8}
    code = f"""
import logging
from pathlib import Path
from tests.skeletons import config
from vigil.training import train
logging.basicConfig(level=logging.INFO, format="%(message)s")
train("protogcn", config(**{settings!r}), Path({str(annotations)!r}),
      Path({str(tmp_path / "model")!r}), Path({str(tmp_path / "work")!r}))
"""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for epoch in (2, 5):
        victim = subprocess.Popen(
            command, cwd=ROOT, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 1200
        try:
            while not any(found >= epoch for found in epochs(tmp_path / "work")):
                assert victim.poll() is None, "ended before it could be killed"
                assert time.monotonic() < limit
                time.sleep(0.01)
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        assert not (tmp_path / "model").exists()
    last = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "resumed after epoch" in last.stderr
    (broken,) = (tmp_path / "work").iterdir()
    whole = train("protogcn", config(**settings), annotations, tmp_path / "m", tmp_path / "w")
    for name in ("train/loss", "train/loss_cls", "train/loss_csc", "train/lr", "val/loss"):
        assert curve(broken, name) == curve(whole, name), name
    assert list(curve(broken, "train/loss")) == list(range(9))
    assert same(weights(tmp_path / "model"), weights(tmp_path / "m"))


def test_a_seed_decides_every_number(annotations: Path, tmp_path: Path) -> None:
    runs = {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        folder = tmp_path / name
        runs[name] = train("protogcn", config(seed=seed), annotations, folder, folder / "work")
    losses = {name: curve(run, "train/loss") for name, run in runs.items()}
    assert losses["first"] == losses["again"] != losses["other"]
    assert same(weights(tmp_path / "first"), weights(tmp_path / "again"))
    assert not same(weights(tmp_path / "first"), weights(tmp_path / "other"))


def best_epoch(run: Path) -> int:
    """Return the epoch of the least validation loss, told by the curve alone."""
    losses = {step + 1: float(value) for step, value in curve(run, "val/loss").items()}
    return min(losses, key=lambda epoch: losses[epoch])


def turned(annotations: Path, part: str, path: Path) -> Path:
    """Write the annotations with the labels of one split turned over."""
    splits, rows = read_annotations(annotations)
    held = set(splits.get(part, ()))
    write_annotations(
        path,
        splits,
        [row | {"label": 1 - row["label"]} if row["frame_dir"] in held else row for row in rows],
    )
    return path


def test_a_training_keeps_mmengines_notes_to_itself(
    annotations: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train("protogcn", config(epochs=1), annotations, tmp_path / "model", tmp_path / "work")
    assert "deprecated" not in "".join(capfd.readouterr())


def test_it_stops_when_validation_no_longer_gains(annotations: Path, tmp_path: Path) -> None:
    """With validation labels turned over, what is learned makes the validation loss rise."""
    cfg = config(epochs=19, lr=0.1, patience_epochs=2, select="best")
    annotations = turned(annotations, "val", tmp_path / "annotations.pkl")
    run = train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    last = max(curve(run, "train/loss")) + 1
    assert last == best_epoch(run) + 2 < 19
    assert (run / f"best_val_loss_epoch_{best_epoch(run)}.pth").is_file()
    train("protogcn", cfg, annotations, tmp_path / "again", tmp_path / "work")
    assert max(curve(run, "train/loss")) + 1 == last, "what had stopped went on"
    assert same(weights(tmp_path / "model"), weights(tmp_path / "again"))


def test_the_best_weights_are_chosen_on_validation_and_never_on_test(
    annotations: Path, tmp_path: Path
) -> None:
    """Turning every test label over changes nothing; turning every validation label does."""
    chosen = {}
    for part in ("none", "test", "val"):
        path = turned(annotations, part, tmp_path / part / "annotations.pkl")
        cfg = config(epochs=6, lr=0.1, ema_momentum=0.2, select="best")
        run = train("protogcn", cfg, path, tmp_path / part / "model", tmp_path / part)
        assert (run / f"best_val_loss_epoch_{best_epoch(run)}.pth").is_file()
        chosen[part] = weights(tmp_path / part / "model"), best_epoch(run)
    assert chosen["none"][1] == chosen["test"][1] != chosen["val"][1]
    assert same(chosen["none"][0], chosen["test"][0])
    assert not same(chosen["none"][0], chosen["val"][0])


@pytest.mark.parametrize("wanted", [{"select": "best"}, {"patience_epochs": 3}])
def test_choosing_needs_validation_clips(
    annotations: Path, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    splits, rows = read_annotations(annotations)
    path = tmp_path / "annotations.pkl"
    write_annotations(path, splits | {"val": []}, rows)
    with pytest.raises(InputError, match="expect validation clips, got 0"):
        train("protogcn", config(**wanted), path, tmp_path / "model", tmp_path / "work")
    train("protogcn", config(epochs=1), path, tmp_path / "model", tmp_path / "work")


@pytest.mark.parametrize("loss", [{"weights": "none"}, {"weights": "effective", "focal_gamma": 2}])
def test_each_loss_trains(annotations: Path, tmp_path: Path, loss: dict[str, Any]) -> None:
    cfg = config(epochs=1, loss={"beta": 0.99, "focal_gamma": 0.0} | loss)
    run = train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    assert float(curve(run, "train/loss_cls")[0]) > 0


@pytest.mark.slow
def test_an_anchor_holds_a_training_to_what_it_began_with(
    annotations: Path, tmp_path: Path
) -> None:
    train("kinematics", config(epochs=1, seed=5), annotations, tmp_path / "start", tmp_path / "w")
    start, moved = weights(tmp_path / "start")["cls_head.fc.weight"], {}
    for anchor in (0.0, 0.3, 10.0):
        cfg = config(epochs=3, lr=0.1, anchor=anchor, init=str(tmp_path / "start"))
        folder = tmp_path / str(anchor)
        train("kinematics", cfg, annotations, folder, tmp_path / "w")
        moved[anchor] = float((weights(folder)["cls_head.fc.weight"] - start).abs().max())
    assert 0 < moved[10.0] < 0.5 * moved[0.3] < 0.5 * moved[0.0], moved


def test_the_key_follows_everything_that_decides_the_result(
    annotations: Path, tmp_path: Path
) -> None:
    cfg = config()
    keys = [
        key("protogcn", cfg, annotations, None),
        key("protogcn", cfg, annotations, 0),
        key("protogcn", config(lr=0.01), annotations, None),
    ]
    other = tmp_path / "annotations.pkl"
    write_set(other, 28)
    keys.append(key("protogcn", cfg, other, None))
    assert len(set(keys)) == 4
    assert key("protogcn", config(), annotations, None) == keys[0]


def test_a_fold_trains_on_its_own_clips(annotations: Path, tmp_path: Path) -> None:
    cfg = config(epochs=1)
    train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work", fold=1)
    _, spec = store.load(tmp_path / "model")
    assert spec.reads == SkeletonReading(16, 2, "stretch")
    with pytest.raises(InputError, match="train_7"):
        train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work", fold=7)


def test_stored_weights_hold_no_training_branch_and_no_pickle(
    annotations: Path, tmp_path: Path
) -> None:
    train("protogcn", config(epochs=1), annotations, tmp_path / "model", tmp_path / "work")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "model.json", "model.safetensors",
    ]  # fmt: skip
    recognizer, _ = store.load(tmp_path / "model")
    assert not [name for name in recognizer.state_dict() if "contrast" in name]


def test_damaged_models_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected a trained recognizer"):
        store.load(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModelError, match="expected a trained recognizer"):
        store.load(tmp_path)
