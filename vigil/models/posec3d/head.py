"""PoseC3D's head: the mean over the whole volume, dropout, one linear layer."""

from __future__ import annotations

from typing import Any

from mmaction.models.heads import GCNHead
from mmaction.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class VolumeHead(GCNHead):  # type: ignore[misc]
    """mmaction2's graph head over a volume; who is there has been drawn into it already."""

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Map features (B, C, T, H, W) to logits (B, classes)."""
        pooled = x.mean(dim=(2, 3, 4))
        if self.dropout is not None:
            pooled = self.dropout(pooled)
        logits: Tensor = self.fc(pooled)
        return logits
