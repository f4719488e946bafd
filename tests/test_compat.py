"""The three bridges of `vigil.compat`, each against the real packages."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from vigil import compat


@pytest.mark.slow
def test_torchvision_sam2_and_the_mm_packages_import_after_apply() -> None:
    """A fresh interpreter imports all of them, and mmengine still takes mmcv as lite."""
    code = (
        "from vigil import compat; compat.apply(); compat.apply()\n"
        "import torchvision, mmpose.models, mmaction.models, sam2.build_sam\n"
        "from mmengine.utils.dl_utils import mmcv_full_available\n"
        "import importlib.machinery as m, mmcv\n"
        "real = m.PathFinder.find_spec('mmcv._ext', list(mmcv.__path__)) is not None\n"
        "assert mmcv_full_available() is real\n"
    )
    environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nms_keeps_the_best_of_overlapping_boxes_in_order_of_score() -> None:
    """Index order, the strict threshold and ties follow torchvision's definition."""
    boxes = torch.tensor(
        [[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 5]], dtype=torch.float32
    )
    scores = torch.tensor([0.5, 0.9, 0.7, 0.4])
    assert compat.nms(boxes, scores, 0.6).tolist() == [1, 2, 3]
    assert compat.nms(boxes, scores, 0.9).tolist() == [1, 2, 0, 3]
    # IoU of boxes 0 and 3 is exactly one half: not above the threshold, so both stay
    assert compat.nms(boxes[[0, 3]], scores[[0, 3]], 0.5).tolist() == [0, 1]


def test_nms_agrees_with_brute_force() -> None:
    """On random boxes the kept set is the one defined by pairwise comparison."""
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([low, low + 5 + torch.rand(60, 2, generator=generator) * 30], dim=1)
    scores = torch.rand(60, generator=generator)

    def iou(a: list[float], b: list[float]) -> float:
        width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
        height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
        total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return width * height / (total - width * height)

    expected: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(iou(boxes[i].tolist(), boxes[j].tolist()) <= 0.4 for j in expected):
            expected.append(i)
    assert compat.nms(boxes, scores, 0.4).tolist() == expected


def test_nms_of_no_box_is_empty() -> None:
    """No box in, no index out, still int64."""
    kept = compat.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == torch.int64


def test_a_missing_mmcv_operator_raises_only_when_called() -> None:
    """Looking an operator up is free; calling it says what to install."""
    extension = compat._MissingExtension("mmcv._ext")
    operator = extension.nms
    with pytest.raises(RuntimeError, match="nms needs mmcv's compiled operators"):
        operator(1)
    with pytest.raises(AttributeError):
        _ = extension.__path__


def test_checkpoints_with_histories_and_numpy_values_load_safely() -> None:
    """What mmengine writes comes back through weights_only loading."""
    compat.bridge_checkpoints()
    from mmengine.logging import HistoryBuffer

    history = HistoryBuffer()
    history.update(1.5)
    file = io.BytesIO()
    values = {"history": history, "f": np.float64(2.5), "i": np.int64(3), "a": np.arange(3)}
    torch.save(values, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert loaded["history"].mean() == 1.5
    assert (loaded["f"], loaded["i"], loaded["a"].tolist()) == (2.5, 3, [0, 1, 2])


class _GetAttr:
    """Pickles as `getattr(object, name)`."""

    def __init__(self, owner: object, name: str) -> None:
        self.pair = (owner, name)

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, self.pair


@pytest.mark.parametrize("name", ["__init__", "__globals__"], ids=["dunder", "globals"])
def test_getattr_in_a_checkpoint_stays_inside_history_buffer(name: str) -> None:
    """Only public methods of that one class: nothing that leads to arbitrary code."""
    compat.bridge_checkpoints()
    from mmengine.logging import HistoryBuffer

    for owner in (HistoryBuffer, np.ndarray):
        file = io.BytesIO()
        torch.save(_GetAttr(owner, name if owner is HistoryBuffer else "tofile"), file)
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError):
            torch.load(file, weights_only=True)
