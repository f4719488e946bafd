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
        single = person_statistics(x, self.step)
        ranked = torch.sort(single.values, dim=1, descending=True)[0]
        if ranked.shape[1] < 2:
            ranked = torch.cat([ranked, torch.zeros_like(ranked)], dim=1)
        pairs = pair_statistics(x, single, self.step)
        return torch.cat([ranked[:, 0], ranked[:, 1], pairs], dim=1)


@MODELS.register_module()
class StatisticsHead(GCNHead):  # type: ignore[misc]
    """Standardize the statistics over the training clips, dropout, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int, **options: Any) -> None:
        """Build the head; `options` are those of mmaction2's `GCNHead`."""
        super().__init__(num_classes, in_channels, **options)
        self.standardize = nn.BatchNorm1d(in_channels, affine=False)

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Map statistics (B, F) to logits (B, classes)."""
        standardized = self.standardize(x)
        if self.dropout is not None:
            standardized = self.dropout(standardized)
        logits: Tensor = self.fc(standardized)
        return logits
