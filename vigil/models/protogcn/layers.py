"""Layers with torch's numbers and weights, written for the memory they move on a processor.

ProtoGCN is pointwise convolutions, normalizations and small products between them. On a processor
torch turns every convolution's input and output into a blocked layout and back, takes the variance
of a batch value by value, and passes over the (V, V) topologies a dozen times. Nothing here changes
what is computed or saved; on other devices and in an exported graph torch's own layers are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def _on_processor(x: Tensor) -> bool:
    """Tell whether `x` is computed on here and now: not on a GPU, and not being exported."""
    return x.device.type == "cpu" and not torch.onnx.is_in_onnx_export()


class Pointwise(nn.Conv2d):
    """1x1 convolution of (N, C, T, V), on a processor as a product of matrices."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        """Build it as `nn.Conv2d` would; `stride` is in time."""
        super().__init__(in_channels, out_channels, 1, (stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, V) to (N, C_out, ceil(T / stride), V)."""
        if not _on_processor(x):
            return super().forward(x)
        return mix_channels(x[:, :, :: self.stride[0]], self.weight.flatten(1), self.bias)


def mix_channels(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply one matrix to the channels of every joint and frame.

    Args:
        x: (N, C, ...) features.
        weight: (C_out, C).
        bias: (C_out,).

    Returns:
        (N, C_out, ...), each clip one product with the matrix.
    """
    rows = weight.expand(len(x), -1, -1)
    if bias is None:
        mixed = torch.bmm(rows, x.flatten(2))
    else:
        mixed = torch.baddbmm(bias[:, None], rows, x.flatten(2))
    return mixed.reshape(len(x), len(weight), *x.shape[2:])


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization that takes a batch's variance in whole vectors on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, T, V) over N, T and V; in training also move the running statistics."""
        plain = self.momentum is None or not self.track_running_stats or not self.affine
        if plain or not self.training or not _on_processor(x) or x.dtype != self.weight.dtype:
            return super().forward(x)
        out: Tensor
        out, mean, variance = _Normalize.apply(x, self.weight, self.bias, self.eps)
        count = x.numel() / x.shape[1]
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        return out


class _Normalize(torch.autograd.Function):
    """Batch normalization in training; its gradient is torch's own."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the normalized (N, C, T, V), and mean and biased variance (C,)."""
        x = x.contiguous()
        count = x.numel() // x.shape[1]
        mean = x.flatten(2).sum(2).sum(0) / count
        centered = (x - mean[:, None, None]).flatten(2)
        variance = torch.linalg.vector_norm(centered, dim=2).square().sum(0) / count
        out = torch.native_batch_norm(x, weight, bias, mean, variance, False, 0.0, eps)[0]
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight, mean, scale = ctx.saved_tensors
        wanted = list(ctx.needs_input_grad[:3])
        found = torch.ops.aten.native_batch_norm_backward(
            gradient.contiguous(), x, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return *found, None


def motion_graph(query: Tensor, key: Tensor, base: Tensor, alpha: Tensor) -> Tensor:
    """Compute base + alpha * tanh(q_i - k_j) for every pair of joints.

    Args:
        query: (N, K, C', V) embeddings of the source joints.
        key: (N, K, C', V) of the targets.
        base: (N or 1, K, 1, V, V) what is the same for all channels.
        alpha: () weight.

    Returns:
        (N, K, C', V, V).
    """
    if torch.is_grad_enabled() and _on_processor(query):
        found: Tensor = _MotionGraph.apply(query, key, base, alpha)
        return found
    return alpha * torch.tanh(query.unsqueeze(-1) - key.unsqueeze(-2)) + base


class _MotionGraph(torch.autograd.Function):
    """`motion_graph` that passes over the pairs three times, and five on the way back."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, base: Tensor, alpha: Tensor) -> Tensor:
        """See `motion_graph`."""
        inter = (query.unsqueeze(-1) - key.unsqueeze(-2)).tanh_()
        ctx.save_for_backward(inter, alpha)
        ctx.shared = base.shape[0] == 1
        return torch.add(base, inter, alpha=float(alpha))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of query, key, base and alpha."""
        inter, alpha = ctx.saved_tensors
        gradient = gradient.contiguous()
        base = gradient.sum(2, keepdim=True)
        base = base.sum(0, keepdim=True) if ctx.shared else base
        own = torch.dot(gradient.flatten(), inter.flatten())
        pairs = torch.ops.aten.tanh_backward(gradient, inter)
        return alpha * pairs.sum(-1), -alpha * pairs.sum(-2), base, own


class MaxPool(nn.MaxPool2d):
    """Max-pooling, on a processor with channels last, where torch takes whole vectors."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, T, V)."""
        if not _on_processor(x):
            return super().forward(x)
        pooled: Tensor = super().forward(x.contiguous(memory_format=torch.channels_last))
        return pooled.contiguous()


def hear(local: Tensor, whole: Tensor, weight: Tensor) -> Tensor:
    """Add to every joint what the whole body says.

    Args:
        local: (N, C, T, V) features.
        whole: (N, C, T, 1) features of the mean joint.
        weight: (V,) of each joint.

    Returns:
        (N, C, T, V) local + whole * weight.
    """
    if not _on_processor(local):
        return local + whole * weight
    flat = torch.addmm(local.reshape(-1, len(weight)), whole.reshape(-1, 1), weight[None])
    return flat.reshape(local.shape)
