"""ProtoGCN's training-only branch: prototype reconstruction and class-specific contrast.

Neither touches the class scores, so both are left out of the exported graph.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from vigil.models.protogcn.layers import BatchNorm


class PrototypeReconstruction(nn.Module):
    """Rebuild the motion topology from a small set of learned prototypes (PRN).

    Each pair of joints is a token; attention over the prototypes gives its reconstruction. Tokens
    are independent of each other, so all clips go through at once.
    """

    def __init__(self, channels: int, prototypes: int = 100, dropout: float = 0.1) -> None:
        """Build the branch for `channels` wide topologies and a number of `prototypes`."""
        super().__init__()
        self.query = nn.Linear(channels, prototypes, bias=False)
        self.memory = nn.Linear(prototypes, channels, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.fuse = nn.Sequential(
            nn.Conv2d(channels, channels, 1), BatchNorm(channels), nn.ReLU(inplace=True)
        )

    def forward(self, topology: Tensor) -> Tensor:
        """Describe each clip's topology.

        Args:
            topology: (N, C, V, V) of the last block, averaged over persons.

        Returns:
            (N, V * V) descriptor.
        """
        tokens = topology.flatten(2).transpose(1, 2)
        rebuilt = self.dropout(self.memory(torch.softmax(self.query(tokens), dim=-1)))
        rebuilt = rebuilt.transpose(1, 2).reshape(topology.shape).contiguous()
        descriptor: Tensor = self.fuse(rebuilt).mean(dim=1)
        return descriptor.flatten(1)


class ClassContrast(nn.Module):
    """Pull each descriptor to its class's running mean and away from the others (CSC).

    The running means are a buffer: saved in checkpoints, moved with the module, updated without
    gradient from correctly classified samples, summed over all processes where there are several.
    """

    def __init__(
        self,
        descriptor_size: int,
        num_classes: int,
        embedding: int = 256,
        momentum: float = 0.9,
        temperature: float = 0.125,
    ) -> None:
        """Build the loss for descriptors of `descriptor_size` values."""
        super().__init__()
        self.momentum, self.temperature = momentum, temperature
        self.embed = nn.Linear(descriptor_size, embedding)
        self.means: Tensor
        self.register_buffer("means", torch.randn(num_classes, embedding))

    def forward(self, descriptor: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss, and update the class means when training.

        Args:
            descriptor: (N, V * V).
            logits: (N, classes) of the classifier; only tells which samples are right.
            labels: (N,) int64.

        Returns:
            Scalar cross-entropy of cosine similarities over temperature.
        """
        embedded = self.embed(descriptor)
        if self.training:
            self._update(embedded.detach(), logits.detach(), labels)
        means = functional.normalize(self.means.clone(), dim=1)
        similarity = torch.matmul(functional.normalize(embedded, dim=1), means.t())
        return functional.cross_entropy(similarity / self.temperature, labels)

    @torch.no_grad()
    def _update(self, embedded: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Move the mean of every class that has a true positive toward those samples' mean."""
        right = (logits.argmax(dim=1) == labels).to(embedded.dtype)
        member = functional.one_hot(labels, self.means.shape[0]).to(embedded.dtype)
        member = member * right[:, None]
        sums, counts = torch.matmul(member.t(), embedded), member.sum(dim=0)[:, None]
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
            dist.all_reduce(counts)
        moved = self.momentum * self.means + (1 - self.momentum) * sums / counts.clamp(min=1.0)
        self.means.copy_(torch.where(counts > 0, moved, self.means))
