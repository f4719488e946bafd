"""ProtoGCN's backbone: graph and temporal units in stages of growing width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from vigil.errors import InputError
from vigil.models.protogcn.gcn import GraphUnit
from vigil.models.protogcn.layers import BatchNorm
from vigil.models.protogcn.tcn import TemporalUnit


class Block(nn.Module):
    """Graph unit, temporal unit and a residual around both."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_joints: int,
        stride: int = 1,
        residual: bool = True,
        subsets: int = 8,
        alpha: float = 0.1,
    ) -> None:
        """Build one block; `residual=False` is for the first one, which reads coordinates."""
        super().__init__()
        self.gcn = GraphUnit(in_channels, out_channels, num_joints, subsets, alpha)
        self.tcn = TemporalUnit(out_channels, num_joints, stride)
        self.has_residual = residual
        self.residual: nn.Module = nn.Identity()
        if residual and (in_channels != out_channels or stride != 1):
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, (stride, 1)), BatchNorm(out_channels)
            )

    def forward(self, x: Tensor, with_topology: bool = True) -> tuple[Tensor, Tensor | None]:
        """Map (N, C, T, V) to (N, C_out, T_out, V) and the graph unit's topology, if wanted."""
        features, topology = self.gcn(x, with_topology)
        features = self.tcn(features)
        if self.has_residual:
            features += self.residual(x)
        return torch.relu_(features), topology


@MODELS.register_module()
class ProtoGCNBackbone(BaseModule):  # type: ignore[misc]
    """Stack of blocks; each stage after the first doubles the width and halves the time.

    The published network has 10 blocks of 96, 192 and 384 channels: `base_channels=96`,
    `stages=(4, 3, 3)`.
    """

    def __init__(
        self,
        num_joints: int,
        in_channels: int = 3,
        base_channels: int = 96,
        stages: Sequence[int] = (4, 3, 3),
        subsets: int = 8,
        alpha: float = 0.1,
    ) -> None:
        """Build the backbone.

        Args:
            num_joints: joints V, of any layout.
            in_channels: channels C per joint: x, y, score in 2-D; x, y, z in 3-D; more of streams.
            base_channels: width of the first stage, a multiple of `subsets`.
            stages: blocks in each stage.
            subsets: graphs K per block.
            alpha: see `GraphUnit`.

        Raises:
            InputError: no joint, a width that K does not divide, or an empty stage.
        """
        super().__init__()
        if num_joints < 1:
            raise InputError(f"protogcn: expected at least 1 joint, got {num_joints}")
        if base_channels % subsets or base_channels < subsets:
            raise InputError(
                f"protogcn: expected base_channels a multiple of {subsets}, got {base_channels}"
            )
        if not stages or min(stages) < 1:
            raise InputError(f"protogcn: expected stages of at least 1 block, got {list(stages)}")
        self.data_bn = nn.BatchNorm1d(num_joints * in_channels)
        self.blocks = nn.ModuleList()
        channels = in_channels
        for stage, count in enumerate(stages):
            width = base_channels * 2**stage
            for index in range(count):
                first = not self.blocks
                stride = 2 if stage and index == 0 else 1
                self.blocks.append(
                    Block(channels, width, num_joints, stride, not first, subsets, alpha)
                )
                channels = width
        self.out_channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network.

        Args:
            x: (N, M, T, V, C) float32 normalized skeletons; an absent person is all zeros.

        Returns:
            (N, M, C', T', V) features, and the last block's motion topology (N, M, C', V, V).
        """
        persons, frames, joints, channels = x.shape[1:]
        x = x.permute(0, 1, 3, 4, 2).reshape(-1, joints * channels, frames)
        x = self.data_bn(x).reshape(-1, joints, channels, frames).permute(0, 2, 3, 1)
        for block in self.blocks[:-1]:
            x, _ = block(x, with_topology=False)
        x, topology = self.blocks[-1](x)
        features = x.reshape(-1, persons, *x.shape[1:])
        return features, topology.reshape(-1, persons, self.out_channels, joints, joints)
