"""mmaction2's ST-GCN, its joints mixed by matrix products instead of einsum."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models.backbones import STGCN
from mmaction.models.utils import unit_gcn
from mmaction.registry import MODELS
from torch import Tensor


class MatmulGraphUnit(unit_gcn):  # type: ignore[misc]
    """mmaction2's graph unit with the same parameters and the same result, without Einsum."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C_out, T, V)."""
        residual = self.down(x) if self.with_res else 0
        graph = self.A if self.adaptive == "init" else self.A * self.PA
        frames, joints = x.shape[2:]
        mixed = self.conv(x).reshape(-1, self.num_subsets, self.out_channels * frames, joints)
        mixed = torch.matmul(mixed, graph).sum(dim=1)
        mixed = mixed.reshape(-1, self.out_channels, frames, joints)
        out: Tensor = self.act(self.bn(mixed) + residual)
        return out


@MODELS.register_module()
class MatmulSTGCN(STGCN):  # type: ignore[misc]
    """mmaction2's `STGCN`: same arguments, state dict and features.

    With `gcn_adaptive="init", gcn_with_res=True, tcn_type="mstcn"` it is STGCN++.
    """

    def __init__(self, **options: Any) -> None:
        """Build mmaction2's network, then put units without einsum in the place of its own.

        Args:
            options: of mmaction2's `STGCN`; `gcn_adaptive` is `importance` (the default) or
                `init`, and `gcn_conv_pos` keeps its default.
        """
        super().__init__(**options)
        for block in self.gcn:
            old = block.gcn
            block.gcn = MatmulGraphUnit(
                old.in_channels, old.out_channels, old.A.detach(), old.adaptive, old.conv_pos,
                old.with_res,
            )  # fmt: skip
