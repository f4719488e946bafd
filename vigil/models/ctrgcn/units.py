"""CTR-GCN's graph unit and temporal unit, written from the paper's equations (ICCV 2021).

Every contraction is a matrix product, and time is averaged before the 1x1 convolutions that embed
the joints: the two commute, and T times less is computed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_REDUCTION = 8
_DILATIONS = (1, 2)
_KERNEL = 5  # frames
_BRANCHES = len(_DILATIONS) + 2


class RefinedGraphConvolution(nn.Module):
    """Mix joints through one subset's graph, refined for every channel (CTR-GC).

    With joint embeddings q and k, averaged over time, the graph of channel c is
    A + alpha * W_c tanh(q_i - k_j): a topology that all channels share, and what this clip's motion
    and this channel change about it.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Build the convolution; embeddings have C_in / 8 channels, 8 where C_in is at most 16."""
        super().__init__()
        width = _REDUCTION if in_channels <= 2 * _REDUCTION else in_channels // _REDUCTION
        self.query = nn.Conv1d(in_channels, width, 1)
        self.key = nn.Conv1d(in_channels, width, 1)
        self.relation = nn.Conv2d(width, out_channels, 1)
        self.value = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, graph: Tensor, alpha: Tensor) -> Tensor:
        """Apply the convolution.

        Args:
            x: (N, C, T, V) features.
            graph: (V, V) shared topology: row i target joint, column j source joint.
            alpha: scalar weight of the refinement.

        Returns:
            (N, C_out, T, V).
        """
        pooled = x.mean(dim=2)
        pairs = torch.tanh(self.query(pooled).unsqueeze(-1) - self.key(pooled).unsqueeze(-2))
        refined = graph + alpha * self.relation(pairs)
        return torch.matmul(self.value(x), refined.transpose(-1, -2))


class GraphUnit(nn.Module):
    """Sum of one refined graph convolution per subset, a residual around it.

    The subsets' graphs are learned from the skeleton's; alpha starts at zero, and the gain of the
    normalization at 1e-6, so that a fresh unit is its residual.
    """

    def __init__(self, in_channels: int, out_channels: int, graph: Tensor) -> None:
        """Build the unit on `graph` (K, V, V)."""
        super().__init__()
        self.graph = nn.Parameter(graph.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.convolutions = nn.ModuleList(
            RefinedGraphConvolution(in_channels, out_channels) for _ in range(len(graph))
        )
        self.norm = nn.BatchNorm2d(out_channels)
        nn.init.constant_(self.norm.weight, 1e-6)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C_out, T, V)."""
        mixed = self.convolutions[0](x, self.graph[0], self.alpha)
        for index in range(1, len(self.convolutions)):
            mixed = mixed + self.convolutions[index](x, self.graph[index], self.alpha)
        return torch.relu(self.norm(mixed) + self.residual(x))


class TemporalUnit(nn.Module):
    """Mix time in four parallel branches: two dilated convolutions, a max-pooling, a plain one."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        """Build the unit for `channels`, a multiple of 4, and a step in time."""
        super().__init__()
        width, steps = channels // _BRANCHES, (stride, 1)
        self.branches = nn.ModuleList()
        for dilation in _DILATIONS:
            padding = (_KERNEL - 1) * dilation // 2
            convolution = nn.Conv2d(
                width, width, (_KERNEL, 1), steps, (padding, 0), (dilation, 1)
            )  # fmt: skip
            self.branches.append(
                nn.Sequential(*_squeeze(channels, width), convolution, nn.BatchNorm2d(width))
            )
        pool = nn.MaxPool2d((3, 1), steps, (1, 0))
        self.branches.append(nn.Sequential(*_squeeze(channels, width), pool, nn.BatchNorm2d(width)))
        self.branches.append(
            nn.Sequential(nn.Conv2d(channels, width, 1, steps), nn.BatchNorm2d(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _squeeze(in_channels: int, out_channels: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    return nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels), nn.ReLU()
