"""Training learns, logs, resumes after a kill, and keeps folds apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.skeletons import config, write_set
from vigil.dataset import read_annotations, select
from vigil.errors import InputError, ModelError
from vigil.evaluation import predict
from vigil.models import store
from vigil.training import key, train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "annotations.pkl"
    write_set(path, 32, folds=3)
    return path


def test_it_learns_what_two_classes_differ_by(annotations: Path, tmp_path: Path) -> None:
    cfg = config(epochs=20, lr=0.1, ema_momentum=0.2, batch_size=8)
    run = train("protogcn", cfg, annotations, tmp_path / "model", tmp_path / "work")
    splits, rows = read_annotations(annotations)
    test = select(splits, rows, "test")
    found = predict(tmp_path / "model", test, cfg.dataset)
    assert np.mean(found.argmax(1) == [row["label"] for row in test]) >= 0.9
    curve = (run / "live/plots/metrics/train/loss.tsv").read_text().splitlines()
    assert len(curve) == 1 + 20
    assert float(curve[-1].split("\t")[-1]) < float(curve[1].split("\t")[-1])
    metrics = json.loads((run / "live/metrics.json").read_text())
    assert {"loss", "accuracy", "macro_f1"} <= set(metrics["val"])


def test_a_killed_training_continues_where_it_stopped(annotations: Path, tmp_path: Path) -> None:
    """It dies by SIGKILL in the middle; the second run does the rest and gives the usual files."""
    code = f"""
import logging
from pathlib import Path
from tests.skeletons import config
from vigil.training import train
logging.basicConfig(level=logging.INFO, format="%(message)s")
train("protogcn", config(epochs=12), Path({str(annotations)!r}),
      Path({str(tmp_path / "model")!r}), Path({str(tmp_path / "work")!r}))
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    limit = time.monotonic() + 240
    try:
        while not list((tmp_path / "work").glob("*/epoch_*.pth")):
            assert first.poll() is None, "ended before it could be killed"
            assert time.monotonic() < limit
            time.sleep(0.05)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (tmp_path / "model").exists()
    second = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "resumed after epoch" in second.stderr
    store.load(tmp_path / "model")
    (run,) = (tmp_path / "work").iterdir()
    steps = [
        int(line.split("\t")[0])
        for line in (run / "live/plots/metrics/train/loss.tsv").read_text().splitlines()[1:]
    ]
    assert steps[-1] == 11
    assert set(range(12)) == set(steps)


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
    assert spec.clip_len == 16
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
