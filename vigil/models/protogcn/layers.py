"""Layers with torch's numbers and weights, written for the memory they move on a processor.

Beside its convolutions ProtoGCN mostly moves memory, and on a processor torch takes the variance of
a batch and the maximum of a window value by value, and passes over the (V, V) topologies a dozen
times. Nothing here changes what is computed or saved; on other devices and in an exported graph
torch's own layers are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def _on_processor(x: Tensor) -> bool:
    """Tell whether `x` is computed on here and now: not on a GPU, and not being exported."""
    return x.device.type == "cpu" and not torch.onnx.is_in_onnx_export()


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization that takes a batch's variance in whole vectors on a processor."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (N, C, T, V) over N, T and V; in training also move the running statistics."""
        mean, variance, counted = self.running_mean, self.running_var, self.num_batches_tracked
        count = x.numel() // x.shape[1]
        if mean is None or variance is None or counted is None or self.momentum is None:
            return super().forward(x)
        if not self.training or count < 2 or x.dtype != self.weight.dtype or not _on_processor(x):
            return super().forward(x)
        out, own_mean, own_variance = _normalize(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            counted.add_(1)
            mean.lerp_(own_mean, self.momentum)
            variance.lerp_(own_variance * (count / (count - 1)), self.momentum)
        return out


def _normalize(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the normalized (N, C, T, V), and mean and biased variance (C,)."""
    found: tuple[Tensor, Tensor, Tensor] = _Normalize.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    return found


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
        out = x - mean[:, None, None]
        variance = torch.linalg.vector_norm(out.flatten(2), dim=2).square().sum(0) / count
        out.mul_((weight * torch.rsqrt(variance + eps))[:, None, None]).add_(bias[:, None, None])
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
        found: Tensor = _MotionGraph.apply(query, key, base, alpha)  # type: ignore[no-untyped-call]
        return found
    return alpha * torch.tanh(query.unsqueeze(-1) - key.unsqueeze(-2)) + base


class _MotionGraph(torch.autograd.Function):
    """`motion_graph` in one tensor's memory; tanh(d) is 2 * sigmoid(2 * d) - 1, far quicker here.

    The tensor over all pairs is the largest of the network. It is computed again on the way back,
    which costs less than keeping it.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, base: Tensor, alpha: Tensor) -> Tensor:
        """See `motion_graph`."""
        ctx.save_for_backward(query, key, alpha)
        ctx.shared = base.shape[0] == 1
        graph: Tensor = _closeness(query, key).mul_(2 * alpha).add_(base - alpha)
        return graph

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients of query, key, base and alpha."""
        query, key, alpha = ctx.saved_tensors
        gradient = gradient.contiguous()
        base = gradient.sum(2, keepdim=True)
        pairs = _closeness(query, key)
        own = 2 * torch.dot(gradient.flatten(), pairs.flatten()) - base.sum()
        torch.ops.aten.sigmoid_backward.grad_input(gradient, pairs, grad_input=pairs)
        base = base.sum(0, keepdim=True) if ctx.shared else base
        return 4 * alpha * pairs.sum(-1), -4 * alpha * pairs.sum(-2), base, own


def _closeness(query: Tensor, key: Tensor) -> Tensor:
    """Return sigmoid(2 * (q_i - k_j)), (N, K, C', V, V)."""
    query, key = (2 * query).contiguous(), (2 * key).contiguous()
    close: Tensor = (query.unsqueeze(-1) - key.unsqueeze(-2)).sigmoid_()
    return close


class MaxPool(nn.MaxPool2d):
    """Max-pooling, on a processor with channels last, where torch takes whole vectors."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool (N, C, T, V)."""
        fast = _on_processor(x)
        x = x.contiguous(memory_format=torch.channels_last) if fast else x
        pooled: Tensor = super().forward(x)
        return pooled.contiguous() if fast else pooled


def hear(x: Tensor, weight: Tensor, joints: int) -> Tensor:
    """Add to every joint what the mean joint says.

    Args:
        x: (N, C, T, V + 1) features, those of the mean joint last.
        weight: (V or more,) of each joint; the first V count.
        joints: V.

    Returns:
        (N, C, T, V): a joint's own + the mean joint's * its weight.
    """
    weight = weight[:joints]
    if torch.onnx.is_in_onnx_export():  # one pass instead of three in ONNX Runtime
        own = torch.eye(joints, dtype=x.dtype, device=x.device)
        heard: Tensor = torch.matmul(x, torch.cat([own, weight[None]]))
        return heard
    local, whole = torch.split(x, [joints, 1], dim=3)
    if not _on_processor(x):
        return local + whole * weight
    flat = torch.addmm(local.reshape(-1, joints), whole.reshape(-1, 1), weight[None])
    return flat.reshape(local.shape)
