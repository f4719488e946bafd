"""The poses one image holds, as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Poses:
    """Persons found in one image, best first.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of that image.
        scores: (N,) float32 in [0, 1].
        keypoints: (N, 17, 2) float32, x and y in pixels of that image, COCO order.
        keypoint_scores: (N, 17) float32 in [0, 1], the network's belief that the joint is visible.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    keypoint_scores: NDArray[np.float32]

    def __len__(self) -> int:
        """Number of persons."""
        return len(self.scores)
