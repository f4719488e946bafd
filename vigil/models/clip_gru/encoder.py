"""What turns a sequence of embeddings into features of every moment: a GRU or a transformer."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from vigil.errors import InputError

Encoder = Literal["gru", "transformer"]
_LONGEST = 512  # moments that there is a time embedding of


def time_embedding(length: int, width: int) -> Tensor:
    """Return the (length, width) sinusoidal embedding of the places in a sequence.

    Args:
        length: moments.
        width: even number of values.
    """
    place = torch.arange(length, dtype=torch.float32).unsqueeze(1)
    pace = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.stack([torch.sin(place * pace), torch.cos(place * pace)], 2).flatten(1)


class Disturb(nn.Module):
    """In training: noise on the embeddings, and moments that show their neighbor's instead."""

    def __init__(self, noise: float, drop: float) -> None:
        """Set the noise's length relative to an embedding's, and the share of moments lost."""
        super().__init__()
        self.noise, self.drop = noise, drop

    def forward(self, x: Tensor) -> Tensor:
        """Disturb (B, L, D) in training; return it as it is otherwise."""
        if not self.training:
            return x
        if self.drop:
            before = torch.cat([x[:, :1], x[:, :-1]], dim=1)
            lost = torch.rand(x.shape[:2], device=x.device) < self.drop
            x = torch.where(lost.unsqueeze(-1), before, x)
        if self.noise:
            x = x + torch.randn_like(x) * (self.noise / math.sqrt(x.shape[-1]))
        return x


class Attention(nn.Module):
    """Multi-head attention in operations that every ONNX Runtime has."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """Build it.

        Args:
            width: of queries, keys and values.
            heads: parts of the width that look by themselves.
            dropout: on the weights.

        Raises:
            InputError: the width is no multiple of the heads.
        """
        super().__init__()
        if width % heads:
            raise InputError(f"heads: expected a divisor of the width {width}, got {heads}")
        self.heads, self.dropout, self.scale = heads, dropout, math.sqrt(width // heads)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Look from (B, Q, W) queries at (B, L, W) keys; return (B, Q, W)."""
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        weight = torch.matmul(q, k.transpose(2, 3)) / self.scale
        weight = functional.dropout(weight.softmax(dim=-1), self.dropout, self.training)
        seen: Tensor = self.out(torch.matmul(weight, v).transpose(1, 2).flatten(2))
        return seen


class Block(nn.Module):
    """One layer of a transformer, normalized before each part."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        """Build it; see `Attention`."""
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, W) to (B, L, W)."""
        inside = self.before(x)
        x = x + self.attention(inside, inside, inside)
        out: Tensor = x + self.mlp(self.between(x))
        return out


@MODELS.register_module()
class EmbeddingEncoder(nn.Module):
    """LayerNorm, then a GRU or a temporal transformer over the embeddings of one track."""

    def __init__(
        self,
        dim: int,
        kind: Encoder = "gru",
        hidden: int = 256,
        layers: int = 1,
        bidirectional: bool = False,
        heads: int = 4,
        dropout: float = 0.3,
        noise: float = 0.0,
        drop: float = 0.0,
    ) -> None:
        """Build the encoder.

        Args:
            dim: width D of the embeddings.
            kind: `gru` or `transformer`.
            hidden: width of the GRU in each direction, or of the transformer.
            layers: of either.
            bidirectional: of the GRU: read the sequence from both ends. A transformer always does.
            heads: of the transformer.
            dropout: between layers.
            noise: see `Disturb`.
            drop: see `Disturb`.

        Raises:
            InputError: an unknown kind.
        """
        super().__init__()
        if kind not in get_args(Encoder):
            raise InputError(f"encoder: expected {', '.join(get_args(Encoder))}, got {kind}")
        self.disturb, self.norm = Disturb(noise, drop), nn.LayerNorm(dim)
        self.kind, self.both = kind, bidirectional and kind == "gru"
        self.width = hidden * (2 if self.both else 1)
        if kind == "gru":
            between = dropout if layers > 1 else 0.0
            self.gru = nn.GRU(dim, hidden, layers, batch_first=True, dropout=between,
                              bidirectional=bidirectional)  # fmt: skip
            return
        self.project = nn.Linear(dim, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(hidden)
        self.times: Tensor
        self.register_buffer("times", time_embedding(_LONGEST, hidden), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, L, D) embeddings to (B, L, W) features of every moment."""
        x = self.norm(self.disturb(x))
        if self.kind == "gru":
            states: Tensor = self.gru(x)[0]
            return states
        x = self.project(x) + self.times[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        features: Tensor = self.last(x)
        return features
