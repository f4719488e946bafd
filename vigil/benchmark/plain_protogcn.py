"""ProtoGCN as its equations are first written down: the reference that ours is measured against.

The same parameters and the same numbers, without what makes ours fast: queries and keys are
convolved at every frame and averaged afterwards, products are einsums, every temporal branch
convolves the whole input by itself, and the prototypes rebuild one clip after another in a Python
loop. Not part of the product.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vigil.models.protogcn.layers import BatchNorm, MaxPool

if TYPE_CHECKING:
    from vigil.models.protogcn.gcn import GraphUnit
    from vigil.models.protogcn.prototypes import PrototypeReconstruction
    from vigil.models.protogcn.tcn import TemporalUnit


_LAYERS: dict[type[nn.Module], type[nn.Module]] = {
    BatchNorm: nn.BatchNorm2d, MaxPool: nn.MaxPool2d,
}  # fmt: skip


class PlainGraphUnit(nn.Module):
    """The graph unit with its mean over time taken last."""

    def __init__(self, unit: GraphUnit) -> None:
        """Take the parameters of `unit`."""
        super().__init__()
        self.unit = unit

    def forward(self, x: Tensor, with_topology: bool = True) -> tuple[Tensor, Tensor]:
        """Map (N, C, T, V) to (N, C_out, T, V) and the motion topology (N, K, C', V, V)."""
        unit = self.unit
        shape = (x.shape[0], unit.subsets, unit.mid, *x.shape[2:])
        query = functional.conv2d(x, unit.query.weight[..., None], unit.query.bias)
        key = functional.conv2d(x, unit.key.weight[..., None], unit.key.bias)
        query, key = query.reshape(shape).mean(dim=3), key.reshape(shape).mean(dim=3)
        inter = torch.tanh(query.unsqueeze(-1) - key.unsqueeze(-2))
        intra = torch.einsum("nkcv,nkcw->nkvw", query, key).softmax(dim=-2)
        correction = unit.alpha[0] * inter + unit.beta[0] * intra.unsqueeze(2)
        graph = unit.graph[None, :, None] + correction
        mixed = torch.einsum("nkctv,nkcvw->nkctw", unit.pre(x).reshape(shape), graph)
        mixed = unit.norm(unit.post(mixed.reshape(x.shape[0], -1, *x.shape[2:])))
        return torch.relu(mixed + unit.residual(x)), correction


class PlainTemporalUnit(nn.Module):
    """The temporal unit with six branches that each read the whole input."""

    def __init__(self, unit: TemporalUnit) -> None:
        """Take the parameters of `unit`, the joined ones taken apart."""
        super().__init__()
        self.unit = unit
        squeeze: Any = unit.squeeze[0]
        norm: Any = unit.squeeze[1]
        self.branches = nn.ModuleList()
        for index, rows in enumerate(torch.split(torch.arange(len(norm.weight)), unit.widths)):
            conv = nn.Conv2d(squeeze.in_channels, len(rows), 1)
            own = nn.BatchNorm2d(len(rows))
            tail = unit.dilated[index] if index < len(unit.dilated) else unit.pool
            for target, source in ((conv, squeeze), (own, norm)):
                target.load_state_dict(
                    {k: v[rows] if v.ndim else v for k, v in source.state_dict().items()}
                )
            self.branches.append(nn.Sequential(conv, own, nn.ReLU(inplace=True), tail))
        self.branches.append(unit.plain)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C, ceil(T / stride), V)."""
        unit, joints = self.unit, x.shape[3]
        x = torch.cat([x, x.mean(dim=3, keepdim=True)], dim=3)
        x = torch.cat([branch(x) for branch in self.branches], dim=1)
        whole = torch.einsum("nct,v->nctv", x[..., joints], unit.global_weight[:joints])
        out: Tensor = unit.norm(unit.fuse(x[..., :joints] + whole))
        return out


class PlainReconstruction(nn.Module):
    """The prototype reconstruction, clip by clip."""

    def __init__(self, branch: PrototypeReconstruction) -> None:
        """Take the parameters of `branch`."""
        super().__init__()
        self.branch = branch

    def forward(self, topology: Tensor) -> Tensor:
        """Map (N, C, V, V) to (N, V * V)."""
        branch = self.branch
        rebuilt = []
        for clip in topology:
            weight = torch.softmax(branch.query(clip.flatten(1).t()), dim=-1)
            rebuilt.append(branch.dropout(branch.memory(weight)).t().reshape(clip.shape))
        descriptor: Tensor = branch.fuse(torch.stack(rebuilt)).mean(dim=1)
        return descriptor.flatten(1)


def plain(recognizer: Any) -> Any:
    """Return a copy of a ProtoGCN recognizer in the plain form, with the same weights."""
    other = copy.deepcopy(recognizer)
    for module in other.modules():
        for ours, published in _LAYERS.items():
            if type(module) is ours:
                module.__class__ = published
    for block in other.backbone.blocks:
        block.gcn = PlainGraphUnit(block.gcn)
        block.tcn = PlainTemporalUnit(block.tcn)
    if hasattr(other.cls_head, "reconstruction"):
        other.cls_head.reconstruction = PlainReconstruction(other.cls_head.reconstruction)
    return other
