"""ProtoGCN's temporal unit: six parallel branches and a node for the whole body (DG-TCN)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vigil.models.protogcn.layers import BatchNorm, MaxPool, hear

_DILATIONS = (1, 2, 3, 4)
_BRANCHES = len(_DILATIONS) + 2
_PUBLISHED_JOINTS = 25


class TemporalUnit(nn.Module):
    """Mix time within each joint, and let every joint hear the mean of all.

    Four dilated convolutions, a max-pooling and a plain branch run side by side over the joints
    and their mean; the mean's result is added to each joint with a learned weight, zero at the
    start. There are 25 such weights as published, or V where a layout has more joints; the first V
    are used.

    The first five branches begin with a 1x1 convolution, normalization and ReLU of their own. All
    three act on channels one by one or read the same input, so one wide `squeeze` does the work of
    five narrow ones with the same numbers. A 1x1 convolution of the mean is the mean of the
    convolution, so the mean joint is appended behind it, where there are fewer channels. Weights
    saved branch by branch are joined when loaded.
    """

    def __init__(self, channels: int, num_joints: int, stride: int = 1) -> None:
        """Build one unit.

        Args:
            channels: channels in and out, at least 6.
            num_joints: joints V.
            stride: step in time.
        """
        super().__init__()
        width = channels // _BRANCHES
        first = channels - width * (_BRANCHES - 1)
        steps = (stride, 1)
        self.joints = num_joints
        self.widths = [first, *[width] * len(_DILATIONS)]
        self.squeeze = nn.Sequential(
            nn.Conv2d(channels, channels - width, 1),
            BatchNorm(channels - width),
            nn.ReLU(inplace=True),
        )
        self.dilated = nn.ModuleList(
            nn.Conv2d(out, out, (3, 1), steps, (dilation, 0), (dilation, 1))
            for out, dilation in zip(self.widths, _DILATIONS, strict=False)
        )
        self.pool = MaxPool((3, 1), steps, (1, 0))
        self.plain = nn.Conv2d(channels, width, 1, steps)
        self.global_weight = nn.Parameter(torch.zeros(max(_PUBLISHED_JOINTS, num_joints)))
        self.fuse = nn.Sequential(
            BatchNorm(channels), nn.ReLU(inplace=True), nn.Conv2d(channels, channels, 1)
        )
        self.norm = BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the unit.

        Args:
            x: (N, C, T, V) features.

        Returns:
            (N, C, ceil(T / stride), V) features.
        """
        convolve, normalize, activate = self.squeeze
        squeezed = convolve(x)
        if self.training:
            squeezed = normalize(_append_mean(squeezed))
        else:  # the same numbers, and the normalization can be folded into the convolution
            squeezed = _append_mean(normalize(squeezed))
        *parts, pooled = activate(squeezed).split(self.widths, dim=1)
        mixed = [conv(part) for conv, part in zip(self.dilated, parts, strict=True)]
        x = torch.cat([*mixed, self.pool(pooled), _append_mean(self.plain(x))], dim=1)
        heard = hear(x, self.global_weight, self.joints)
        out: Tensor = self.norm(self.fuse(heard))
        return out

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **options: Any
    ) -> None:
        """Load weights, joining those of `branches.*` that were saved one by one."""
        joined = join_branches(state_dict, f"{prefix}branches.")
        for name in [name for name in state_dict if name.startswith(f"{prefix}branches.")]:
            del state_dict[name]
        state_dict.update({prefix + name: value for name, value in joined.items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **options)


def _append_mean(x: Tensor) -> Tensor:
    """Append the mean joint to (N, C, T, V)."""
    return torch.cat([x, x.mean(dim=3, keepdim=True)], dim=3)


def join_branches(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the weights of six separate branches as `TemporalUnit` names and holds them.

    Args:
        state: holds `<prefix><branch>.<layer>.<name>`, layers 0 (1x1 convolution), 1
            (normalization) and 3 (temporal convolution), and `<prefix>5.<name>`; or none of them.
        prefix: what the names begin with, with its dot.

    Returns:
        `squeeze.*`, `dilated.*` and `plain.*`; empty when `state` has no such names.
    """
    if f"{prefix}0.0.weight" not in state:
        return {}
    joined = {}
    layers = {0: ("weight", "bias"), 1: ("weight", "bias", "running_mean", "running_var")}
    for layer, names in layers.items():
        for name in names:
            values = [state[f"{prefix}{branch}.{layer}.{name}"] for branch in range(_BRANCHES - 1)]
            joined[f"squeeze.{layer}.{name}"] = torch.cat(values)
    joined["squeeze.1.num_batches_tracked"] = state[f"{prefix}0.1.num_batches_tracked"]
    for name in ("weight", "bias"):
        joined[f"plain.{name}"] = state[f"{prefix}{_BRANCHES - 1}.{name}"]
        for branch in range(len(_DILATIONS)):
            joined[f"dilated.{branch}.{name}"] = state[f"{prefix}{branch}.3.{name}"]
    return joined
