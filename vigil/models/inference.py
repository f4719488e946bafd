"""A recognizer's graph run by torch over what was prepared for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.models.doors import Batch

_ROWS = 32


def answers(graph: Any, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Run a recognizer's graph over the rows of a batch, some at a time.

    Args:
        graph: from what `batch` feeds to (B, classes) probabilities and logits.
        batch: n rows.

    Returns:
        (n, classes) float32 probabilities, and (n, classes) float32 logits.
    """
    found = []
    with torch.inference_mode():
        for start in range(0, len(batch.owner), _ROWS):
            part = slice(start, start + _ROWS)
            inputs = (torch.from_numpy(array[part]) for array in batch.feeds.values())
            found.append([tensor.numpy() for tensor in graph(*inputs)])
    probabilities, logits = zip(*found, strict=True)
    return np.concatenate(probabilities), np.concatenate(logits)
