"""ProtoGCN's graph unit: a learned graph plus one computed from the motion (Liu et al., CVPR 2025).

Written with matrix products throughout; the published code uses einsum, which exports badly.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vigil.models.protogcn.layers import BatchNorm, motion_graph


class GraphUnit(nn.Module):
    """Mix joints through K learned graphs, each corrected by the input's own motion topology.

    For every subset the graph is A + alpha * tanh(q_i - k_j) + beta * softmax_i(q_i . k_j), where
    q and k are the clip's time-averaged joint embeddings. A, alpha and beta are learned; only the
    first element of alpha and beta is used, as published.

    The published alpha starts at zero. Then every topology is zero, all tokens of the prototype
    branch are equal, its normalization turns the equal values into nothing, and neither prototypes
    nor alpha hear from the contrastive loss until the classification loss has moved alpha. A start
    slightly off zero keeps that branch alive from the first step.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_joints: int,
        subsets: int = 8,
        alpha: float = 0.1,
    ) -> None:
        """Build one unit.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output, a multiple of `subsets`.
            num_joints: joints V.
            subsets: number of graphs K.
            alpha: value that alpha starts with; published: 0.
        """
        super().__init__()
        self.subsets, self.mid = subsets, out_channels // subsets
        width = self.mid * subsets
        self.graph = nn.Parameter(torch.empty(subsets, num_joints, num_joints))
        nn.init.normal_(self.graph, mean=0.04, std=0.02)
        self.alpha = nn.Parameter(torch.full((subsets,), alpha))
        self.beta = nn.Parameter(torch.zeros(subsets))
        self.pre = nn.Sequential(
            nn.Conv2d(in_channels, width, 1), BatchNorm(width), nn.ReLU(inplace=True)
        )
        self.query = nn.Conv1d(in_channels, width, 1)
        self.key = nn.Conv1d(in_channels, width, 1)
        self.post = nn.Conv2d(width, out_channels, 1)
        self.norm = BatchNorm(out_channels)
        self.residual: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.residual = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1), BatchNorm(out_channels)
            )

    def topology(self, x: Tensor, base: Tensor | None = None) -> Tensor:
        """Compute the graph's correction from the motion.

        Args:
            x: (N, C, T, V) features. Time is averaged before the 1x1 convolutions, which commutes
                with them and costs T times less.
            base: (1, K, 1, V, V) what to add the correction to.

        Returns:
            (N, K, C', V, V) with C' = out_channels / K: row i source joint, column j target.
        """
        pooled = x.mean(dim=2)
        shape = (-1, self.subsets, self.mid, x.shape[3])
        query, key = self.query(pooled).reshape(shape), self.key(pooled).reshape(shape)
        intra = torch.softmax(torch.matmul(query.transpose(-1, -2), key), dim=-2)
        shared = self.beta[0] * intra.unsqueeze(2)
        shared = shared if base is None else base + shared
        return motion_graph(query, key, shared, self.alpha[0])

    def forward(self, x: Tensor, with_topology: bool = True) -> tuple[Tensor, Tensor | None]:
        """Apply the unit.

        Args:
            x: (N, C, T, V) features.
            with_topology: whether `topology(x)` is wanted beside the features.

        Returns:
            (N, out_channels, T, V) features, and `topology(x)` or None.
        """
        frames, joints = x.shape[2:]
        learned = self.graph[None, :, None]
        correction = self.topology(x) if with_topology else None
        graph = self.topology(x, learned) if correction is None else learned + correction
        mixed = self.pre(x).reshape(-1, self.subsets, self.mid, frames, joints)
        mixed = torch.matmul(mixed, graph).reshape(-1, self.subsets * self.mid, frames, joints)
        out = self.norm(self.post(mixed))
        out += self.residual(x)
        return torch.relu_(out), correction
