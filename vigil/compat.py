"""Three bridges between packages that do not fit together as installed.

Knows: torchvision's operator library, mmcv-lite's missing extension, torch's safe unpickling.
Does not know: any model. Call `apply` before importing torchvision, sam2, mmpose, mmdet or
mmaction; it is idempotent and each bridge does nothing where its fault is absent.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def apply() -> None:
    """Apply the three bridges, each once per process."""
    bridge_torchvision()
    bridge_mmcv()
    bridge_checkpoints()


@functools.cache
def bridge_torchvision() -> bool:
    """Let a CUDA-linked torchvision be imported beside a CPU torch.

    Its operator library cannot load there, and importing it fails for want of
    `torchvision::nms`. This declares `nms` (working, in plain torch) and `qnms` (refusing), and
    lifts the has-operators assertion for `torchvision.ops.nms` alone; every other missing
    operator keeps its own error.

    Returns:
        True where the bridge was needed, False where torchvision is whole or absent.
    """
    if _torchvision_is_whole():
        return False
    import torch

    registry: Any = torch.library
    library = registry.Library("torchvision", "DEF")
    _LIBRARIES.append(library)
    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    library.define("nms" + schema)
    library.define("qnms" + schema)
    library.impl("nms", nms, "CompositeExplicitAutograd")

    import torchvision.ops.boxes

    torchvision.ops.boxes._assert_has_ops = lambda: None
    return True


_LIBRARIES: list[Any] = []  # a torch.library.Library undoes its declarations when collected


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression, torchvision's definition.

    Args:
        dets: (N, 4) floating, xyxy in any one frame of coordinates.
        scores: (N,) floating; ties keep the order of the input.
        iou_threshold: a box whose IoU with a kept, better one is above this is dropped.

    Returns:
        (K,) int64, indices of the kept boxes by falling score.
    """
    import torch

    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    kept: list[int] = []
    for i in range(len(boxes)):
        if not alive[i]:
            continue
        kept.append(i)
        low = torch.maximum(boxes[i, :2], boxes[i + 1 :, :2])
        high = torch.minimum(boxes[i, 2:], boxes[i + 1 :, 2:])
        intersection = (high - low).clamp(min=0).prod(dim=1)
        union = areas[i] + areas[i + 1 :] - intersection
        alive[i + 1 :] &= ~(intersection / union > iou_threshold)
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def _torchvision_is_whole() -> bool:
    """True where torchvision is absent, already imported, or its operator library loads."""
    if "torchvision" in sys.modules:
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    import torch

    loader = (
        importlib.machinery.ExtensionFileLoader,
        importlib.machinery.EXTENSION_SUFFIXES,
    )
    finder = importlib.machinery.FileFinder(spec.submodule_search_locations[0], loader)
    extension = finder.find_spec("_C")
    if extension is None or extension.origin is None:
        return False
    operators: Any = torch.ops
    try:
        operators.load_library(extension.origin)
    except OSError:
        return False
    return True


class _MissingExtension(types.ModuleType):
    """Stand-in for `mmcv._ext`: any operator can be looked up, none can be called."""

    def __getattr__(self, name: str) -> Any:
        """A function that raises when called; dunder names stay missing, as in any module."""
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: Any, **__: Any) -> None:
            raise RuntimeError(
                f"mmcv.ops: {name} needs mmcv's compiled operators: install full mmcv"
            )

        return missing


@functools.cache
def bridge_mmcv() -> bool:
    """Let mmpose, mmdet and mmaction be imported on mmcv-lite.

    They import `mmcv.ops` although RTMO and the graph networks never call an operator of it.
    The stand-in's spec has no loader, so that mmengine still knows the installed mmcv as lite.

    Returns:
        True where the bridge was needed, False where mmcv is full or absent.
    """
    spec = importlib.util.find_spec("mmcv")
    if spec is None or not spec.submodule_search_locations:
        return False
    path = list(spec.submodule_search_locations)
    if importlib.machinery.PathFinder.find_spec("mmcv._ext", path) is not None:
        return False
    stand_in = _MissingExtension("mmcv._ext")
    stand_in.__spec__ = importlib.machinery.ModuleSpec("mmcv._ext", loader=None)
    sys.modules["mmcv._ext"] = stand_in
    return True


@functools.cache
def bridge_checkpoints() -> bool:
    """Let `torch.load(weights_only=True)` read the checkpoints mmengine writes.

    They carry `HistoryBuffer` (with its statistics methods, pickled as `getattr`) and numpy
    scalars and arrays: exactly those become safe. `weights_only` stays on.

    Returns:
        True, or False where mmengine is absent.
    """
    if importlib.util.find_spec("mmengine") is None:
        return False
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer
    from numpy.core import multiarray

    numpy_functions: Any = multiarray
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
            numpy_functions._reconstruct,
            numpy_functions.scalar,
            (_history_method, "builtins.getattr"),
        ]
    )
    return True


def _history_method(owner: object, name: str) -> Any:
    """`getattr`, for the public methods of mmengine's `HistoryBuffer` class alone."""
    import pickle

    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith("_"):
        raise pickle.UnpicklingError(f"checkpoint: getattr of {owner!r} is not allowed")
    return getattr(HistoryBuffer, name)
