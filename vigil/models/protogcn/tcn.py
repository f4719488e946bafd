"""ProtoGCN's temporal unit: six parallel branches and a node for the whole body (DG-TCN)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DILATIONS = (1, 2, 3, 4)
_BRANCHES = len(_DILATIONS) + 2
MAX_JOINTS = 25


class TemporalUnit(nn.Module):
    """Mix time within each joint, and let every joint hear the mean of all.

    Four dilated convolutions, a max-pooling and a plain branch run side by side over the joints
    and their mean; the mean's result is added to each joint with a learned weight (25 of them,
    sliced to the joints there are, zero at the start).
    """

    def __init__(self, channels: int, stride: int = 1) -> None:
        """Build one unit.

        Args:
            channels: channels in and out, at least 6.
            stride: step in time.
        """
        super().__init__()
        width = channels // _BRANCHES
        first = channels - width * (_BRANCHES - 1)
        steps = (stride, 1)
        self.branches = nn.ModuleList()
        for index, dilation in enumerate(_DILATIONS):
            out = width if index else first
            self.branches.append(
                nn.Sequential(
                    *_squeeze(channels, out),
                    nn.Conv2d(out, out, (3, 1), steps, (dilation, 0), (dilation, 1)),
                )
            )
        pool = nn.MaxPool2d((3, 1), steps, (1, 0))
        self.branches.append(nn.Sequential(*_squeeze(channels, width), pool))
        self.branches.append(nn.Conv2d(channels, width, 1, steps))
        self.global_weight = nn.Parameter(torch.zeros(MAX_JOINTS))
        self.fuse = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1)
        )
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit.

        Args:
            x: (N, C, T, V) features, V at most 25.

        Returns:
            (N, C, ceil(T / stride), V) features.
        """
        joints = x.shape[3]
        x = torch.cat([x, x.mean(dim=3, keepdim=True)], dim=3)
        x = torch.cat([branch(x) for branch in self.branches], dim=1)
        local, whole = x[..., :joints], x[..., joints:]
        mixed = local + whole * self.global_weight[:joints]
        return self.norm(self.fuse(mixed))  # type: ignore[no-any-return]


def _squeeze(in_channels: int, out_channels: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return (
        nn.Conv2d(in_channels, out_channels, 1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
