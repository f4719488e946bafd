"""The classification loss of every recognizer: classes weighed, easy clips played down.

Registers `ClassificationLoss`, which any head of mmaction2 takes as its `loss_cls`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist
from mmaction.models.losses.base import BaseWeightedLoss
from mmaction.registry import MODELS
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-6  # of 1 - p; below it the power's gradient would have no bound


def class_weights(
    counts: Sequence[int] | NDArray[np.integer[Any]],
    how: Literal["none", "inverse", "effective"],
    beta: float,
) -> NDArray[np.float64] | None:
    """Weigh classes against their imbalance.

    `inverse`: 1 / n. `effective`: 1 / E with the effective number of samples
    E = (1 - beta^n) / (1 - beta) (Cui et al., CVPR 2019); beta to 1 gives `inverse`, 0.9 and less
    hardly weigh at all.

    Args:
        counts: training clips n of each class.
        how: which rule.
        beta: of `effective`, in (0, 1).

    Returns:
        (classes,) weights that sum to the number of classes there are clips of, 0 for the others;
        None for `none`.
    """
    if how == "none":
        return None
    number = np.asarray(counts, np.float64)
    if how == "effective":
        number = -np.expm1(number * np.log(beta)) / (1.0 - beta)
    there = number > 0
    weights = np.where(there, 1.0 / np.where(there, number, 1.0), 0.0)
    return np.asarray(weights * there.sum() / weights.sum(), np.float64)


@MODELS.register_module()
class ClassificationLoss(BaseWeightedLoss):  # type: ignore[misc]
    """Cross-entropy with class weights and the focal factor (1 - p)^gamma (Lin et al., ICCV 2017).

    It is the mean over clips weighted by class, so its size does not depend on which classes a
    batch holds; over several processes it is the mean over their joined batch.
    """

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        focal_gamma: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        """Build the loss.

        Args:
            class_weight: a weight per class; None weighs all alike.
            focal_gamma: power of the focal factor; 0 leaves it out.
            loss_weight: factor of the whole.
        """
        super().__init__(loss_weight=loss_weight)
        self.focal_gamma = focal_gamma
        weight = torch.ones(1) if class_weight is None else torch.tensor(list(class_weight))
        self.class_weight: Tensor
        self.register_buffer("class_weight", weight.float(), persistent=False)

    def _forward(self, cls_score: Tensor, label: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            cls_score: (N, classes) logits.
            label: (N,) int64 classes, or (N, classes) smoothed targets.

        Returns:
            Scalar.
        """
        targets = label
        if label.shape != cls_score.shape:
            targets = functional.one_hot(label, cls_score.shape[1])
        weighted = targets.to(cls_score.dtype) * self.class_weight
        logs = functional.log_softmax(cls_score, dim=1)
        if self.focal_gamma:
            logs = logs * (1.0 - logs.exp()).clamp(min=_LEAST).pow(self.focal_gamma)
        total = weighted.sum()
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(total)
            total = total / dist.get_world_size()
        return -(weighted * logs).sum() / total
