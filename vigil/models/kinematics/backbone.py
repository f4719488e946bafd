"""What mmaction2's registry builds of the kinematics recognizer: statistics, and a linear head."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models.heads import GCNHead
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from vigil.models.kinematics.statistics import pair_statistics, person_statistics


@MODELS.register_module()
class KinematicsBackbone(BaseModule):  # type: ignore[misc]
    """Joints to statistics: no weights; the order of persons and empty slots change nothing."""

    def __init__(self, step: int = 1) -> None:
        """Measure speeds over `step` frames."""
        super().__init__()
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        """Measure joints (B, M, T, 17, 3), x, y and score, 0 where missing, T above `step` + 1.

        Returns:
            (B, F) float32: each of `PERSON` for the two who show most of it (0 where there is no
            second), then each of `PAIR` for the pair that shows most of it.
        """
        if len(x.unbind(1)) < 2:
            x = torch.cat([x, torch.zeros_like(x)], dim=1)
        single = person_statistics(x, self.step)
        ranked = torch.sort(single.values, dim=1, descending=True)[0]
        pairs = pair_statistics(x, single, self.step)
        return torch.cat([ranked[:, 0], ranked[:, 1], pairs], dim=1)


class Standardize(nn.BatchNorm1d):
    """Batch normalization without gain and shift, in plain arithmetic where it is served.

    PyTorch's exporter knows no batch normalization without weights.
    """

    def __init__(self, features: int) -> None:
        """Standardize (B, features)."""
        super().__init__(features, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return values of mean 0 and deviation 1, over the batch or as measured in training."""
        if self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        return (x - self.running_mean) * torch.rsqrt(self.running_var + self.eps)


@MODELS.register_module()
class StatisticsHead(GCNHead):  # type: ignore[misc]
    """Standardize the statistics over the training clips, dropout, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int, **options: Any) -> None:
        """Build the head; `options` are those of mmaction2's `GCNHead`."""
        super().__init__(num_classes, in_channels, **options)
        self.standardize = Standardize(in_channels)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Map statistics (B, F) to logits (B, classes)."""
        standardized = self.standardize(x)
        if self.dropout is not None:
            standardized = self.dropout(standardized)
        logits: Tensor = self.fc(standardized)
        return logits
