"""CTR-GCN's backbone: graph and temporal units in stages of growing width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models.utils import Graph
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from vigil.errors import InputError
from vigil.models.ctrgcn.units import GraphUnit, TemporalUnit


class Block(nn.Module):
    """Graph unit, temporal unit and a residual around both."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        graph: Tensor,
        stride: int = 1,
        residual: bool = True,
    ) -> None:
        """Build one block; `residual=False` is for the first one, which reads coordinates."""
        super().__init__()
        self.gcn = GraphUnit(in_channels, out_channels, graph)
        self.tcn = TemporalUnit(out_channels, stride)
        self.has_residual = residual
        self.residual: nn.Module = nn.Identity()
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C_out, T_out, V)."""
        features = self.tcn(self.gcn(x))
        if self.has_residual:
            features = features + self.residual(x)
        return torch.relu(features)


@MODELS.register_module()
class CTRGCNBackbone(BaseModule):  # type: ignore[misc]
    """Stack of blocks; each stage after the first doubles the width and halves the time.

    The published network has 10 blocks of 64, 128 and 256 channels: `base_channels=64`,
    `stages=(4, 3, 3)`. Persons share the statistics of the input's normalization.
    """

    def __init__(
        self,
        graph_cfg: dict[str, Any],
        in_channels: int = 3,
        base_channels: int = 64,
        stages: Sequence[int] = (4, 3, 3),
    ) -> None:
        """Build the backbone.

        Args:
            graph_cfg: config of mmaction2's `Graph`; its subsets are the units'.
            in_channels: channels per joint.
            base_channels: width of the first stage, a multiple of 4.
            stages: blocks in each stage.

        Raises:
            InputError: a width that 4 does not divide, or an empty stage.
        """
        super().__init__()
        if base_channels < 4 or base_channels % 4:
            raise InputError(f"ctrgcn: expected base_channels a multiple of 4, got {base_channels}")
        if not stages or min(stages) < 1:
            raise InputError(f"ctrgcn: expected stages of at least 1 block, got {list(stages)}")
        graph = torch.tensor(Graph(**graph_cfg).A, dtype=torch.float32)
        self.data_bn = nn.BatchNorm1d(graph.shape[1] * in_channels)
        self.blocks = nn.ModuleList()
        channels = in_channels
        for stage, count in enumerate(stages):
            width = base_channels * 2**stage
            for index in range(count):
                stride = 2 if stage and index == 0 else 1
                residual = len(self.blocks) > 0
                self.blocks.append(Block(channels, width, graph, stride, residual))
                channels = width

    def forward(self, x: Tensor) -> Tensor:
        """Run the network.

        Args:
            x: (N, M, T, V, C) float32 normalized skeletons; an absent person is all zeros.

        Returns:
            (N, M, C', T', V) features.
        """
        persons, frames, joints, channels = x.shape[1:]
        x = x.permute(0, 1, 3, 4, 2).reshape(-1, joints * channels, frames)
        x = self.data_bn(x).reshape(-1, joints, channels, frames).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return x.reshape(-1, persons, *x.shape[1:])
