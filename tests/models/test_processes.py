"""Two processes that train together do what one does with the joined batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.conftest import ROOT
from tests.skeletons import config, write_set
from vigil.config import load
from vigil.errors import InputError
from vigil.models import processes, store
from vigil.training import train

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_the_joined_batch(tmp_path: Path) -> None:
    """Class weights, smoothing, focus and the contrastive memory included."""
    write_set(tmp_path / "a.pkl", 32)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, launcher in (("one", []), ("two", TORCHRUN)):
        out = tmp_path / name
        out.mkdir()
        python(*launcher, "-m", "tests.models.gradient", str(tmp_path / "a.pkl"), str(out))
        found[name] = [torch.load(path) for path in sorted(out.glob("*.pt"))]
    (one,), (first, second) = found["one"], found["two"]
    assert (int(one.pop("clips")), int(first.pop("clips")), int(second.pop("clips"))) == (8, 4, 4)
    assert len(one) == len(first) > 20
    assert sum(bool(value.any()) for value in one.values()) > 0.9 * len(one)
    for name, value in one.items():
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
        assert torch.equal(first[name], second[name])


@pytest.mark.slow
def test_torchrun_trains_and_the_first_process_writes(tmp_path: Path) -> None:
    values = config(epochs=3, patience_epochs=3, select="best").model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    _, paths = load(tmp_path / "params.yaml")
    paths.dataset.mkdir(parents=True)
    write_set(paths.dataset / "annotations.pkl", 32)
    done = python(*TORCHRUN, "-m", "stages.train", "--model", "protogcn", "--params",
                  str(tmp_path / "params.yaml"))  # fmt: skip
    store.load(paths.model("protogcn"))
    assert done.stdout.count("weights in") == 1
    assert done.stderr.count("epoch 3/3") == 1
    assert "Warning" not in done.stderr
    (run,) = (tmp_path / ".vigil/train").iterdir()
    assert len(list(run.glob("epoch_*.pth"))) == 2
    curve = paths.reports / "training/protogcn/val/loss.tsv"
    assert len(curve.read_text().splitlines()) == 1 + 3


def test_alone_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes.group():
        processes.wait()
        assert (processes.count(), processes.rank(), processes.local_rank()) == (1, 0, 0)


def test_a_batch_that_does_not_divide_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "a.pkl", 24)
    monkeypatch.setattr(processes, "count", lambda: 4)
    with pytest.raises(InputError, match="batch_size: expected a multiple of 4 processes, got 6"):
        train("protogcn", config(), tmp_path / "a.pkl", tmp_path / "model", tmp_path / "work")
