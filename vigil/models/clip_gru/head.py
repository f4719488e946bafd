"""CLIP-GRU's head: from the features of every moment to class scores; and how it is taught."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from mmaction.models.heads.base import BaseHead
from mmaction.registry import MODELS
from mmengine.structures import LabelData
from torch import Tensor, nn
from torch.nn import functional

from vigil.errors import InputError
from vigil.models.clip_gru.encoder import _LONGEST, Attention, time_embedding
from vigil.models.clip_gru.pooling import pool
from vigil.sequences import UNKNOWN, Pool

Summary = Literal["last", "mean", "attention"]
Learn = Literal["all", "mil"]
_LEAST = 1e-7  # of a probability whose logarithm is taken


class Summarize(nn.Module):
    """From (B, L, W) features to (B, W): the last state, the mean, or attention over it."""

    def __init__(self, how: Summary, width: int, both: bool, heads: int, dropout: float) -> None:
        """Build it.

        Args:
            how: `last`: the state after the last moment; `mean`; `attention`: what a learned query
                sees, added to the mean and normalized.
            width: of the features.
            both: the second half of the features read the sequence backward.
            heads: of the attention.
            dropout: of the attention.

        Raises:
            InputError: an unknown summary.
        """
        super().__init__()
        if how not in get_args(Summary):
            raise InputError(f"head: expected {', '.join(get_args(Summary))}, got {how}")
        self.how, self.both = how, both
        if how == "attention":
            self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
            self.attention = Attention(width, heads, dropout)
            self.norm = nn.LayerNorm(width)
            self.times: Tensor
            self.register_buffer("times", time_embedding(_LONGEST, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Summarize (B, L, W) as (B, W)."""
        if self.how == "last":
            if not self.both:
                return x[:, -1]
            half = x.shape[2] // 2
            return torch.cat([x[:, -1, :half], x[:, 0, half:]], dim=1)
        mean = x.mean(dim=1)
        if self.how == "mean":
            return mean
        query = self.query.expand(x.shape[0], -1, -1)
        seen = self.attention(query, x + self.times[: x.shape[1]], x)
        summary: Tensor = self.norm(mean + seen[:, 0])
        return summary


@MODELS.register_module()
class SequenceHead(BaseHead):  # type: ignore[misc]
    """Summary, dropout, one linear layer; in training it learns from all sequences of a clip.

    Where it is known what a sequence shows, it learns that. The other sequences of a clip bear the
    clip's label, but may show bystanders: `all` teaches every one the label, `mil` (multiple
    instances) only the clip's pooled answer, and so those that decide it.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        how: Summary,
        both: bool,
        heads: int,
        dropout: float,
        learn: Learn,
        pooling: Pool,
        top_k: int,
        normal: int,
        **options: Any,
    ) -> None:
        """Build the head.

        Args:
            num_classes: classes.
            in_channels: width of the features.
            how: see `Summarize`, as the next three.
            both: second half backward.
            heads: of the attention.
            dropout: before the classifier too.
            learn: see the class.
            pooling: see `vigil.sequences.pool`, as the next two.
            top_k: of `top`.
            normal: index of the class that is not an event.
            options: of mmaction2's `BaseHead`.

        Raises:
            InputError: an unknown way to learn.
        """
        super().__init__(num_classes, in_channels, **options)
        if learn not in get_args(Learn):
            raise InputError(f"learn: expected {', '.join(get_args(Learn))}, got {learn}")
        self.summarize = Summarize(how, in_channels, both, heads, dropout)
        self.dropout, self.fc = nn.Dropout(dropout), nn.Linear(in_channels, num_classes)
        self.learn, self.pooling, self.top_k, self.normal = learn, pooling, top_k, normal

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        """Map (B, L, W) features to (B, classes) logits."""
        logits: Tensor = self.fc(self.dropout(self.summarize(x)))
        return logits

    def clip_probabilities(self, logits: Tensor, held: Tensor) -> Tensor:
        """Pool (B, K, classes) logits of sequences to (B, classes) probabilities of clips."""
        return pool(logits.softmax(2), held, self.pooling, self.top_k, self.normal)

    def loss(
        self, feats: Tensor, data_samples: list[Any], held: Tensor, said: Tensor, **_: Any
    ) -> dict[str, Tensor]:
        """Compute the loss; every clip weighs the same, and in it every class shown.

        Args:
            feats: (B * K, L, W) features.
            data_samples: B mmaction2 samples with `gt_labels`.
            held: (B, K) of 0 and 1, which sequences are there.
            said: (B, K) class each is known to show, -1 where it is not known.
        """
        logits = self(feats).unflatten(0, held.shape)
        labels = torch.cat([sample.gt_labels.item for sample in data_samples]).to(logits.device)
        known = held * (said != UNKNOWN)
        other = held - known
        rows, targets, weights = [logits.flatten(0, 1)], [said.clamp(min=0).flatten()], []
        if self.learn == "all":
            targets = [torch.where(known > 0, said, labels.unsqueeze(1)).flatten()]
            weights = [_share(targets[0].reshape(held.shape), held, self.num_classes).flatten()]
        else:
            bag = other.amax(dim=1)
            share = other.sum(dim=1) / held.sum(dim=1)
            part = _share(said.clamp(min=0), known, self.num_classes)
            weights = [(part * (1.0 - share).unsqueeze(1)).flatten(), share]
            rows.append(self._pooled(logits, other + (1.0 - bag).unsqueeze(1) * held))
            targets.append(labels)
        return self._measure(torch.cat(rows), torch.cat(targets), torch.cat(weights))

    def _pooled(self, logits: Tensor, held: Tensor) -> Tensor:
        """Return the logarithm of the clips' probabilities, which is its own logits."""
        return self.clip_probabilities(logits, held).clamp(min=_LEAST).log()

    def _measure(self, logits: Tensor, labels: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Return the loss over (N, classes) logits, N labels smoothed and weighted."""
        kept = weights > 0
        logits, labels, weights = logits[kept], labels[kept], weights[kept]
        wanted = functional.one_hot(labels, self.num_classes).to(logits.dtype)
        smooth = self.label_smooth_eps
        wanted = (1.0 - smooth) * wanted + smooth / self.num_classes
        right = (logits.argmax(1) == labels).to(logits.dtype)
        return {
            "loss_cls": self.loss_cls(logits, wanted * weights.unsqueeze(1)),
            "top1_acc": (right * weights).sum() / weights.sum(),
        }

    def predict(self, feats: Tensor, data_samples: list[Any], held: Tensor, **_: Any) -> list[Any]:
        """Return the samples with `pred_scores`: (classes,) probabilities of each clip."""
        logits = self(feats).unflatten(0, held.shape)
        for sample, scores in zip(
            data_samples, self.clip_probabilities(logits, held), strict=True
        ):  # fmt: skip
            sample.pred_scores = LabelData(item=scores)
            sample.pred_labels = LabelData(item=scores.argmax(dim=0, keepdim=True))
        return data_samples


def _share(classes: Tensor, held: Tensor, count: int) -> Tensor:
    """Return (B, K) weights that give every class among a clip's held sequences the same part.

    Args:
        classes: (B, K) class of every sequence.
        held: (B, K) of 0 and 1.
        count: classes there are.

    Returns:
        Rows that sum to 1; to 0 where nothing is held.
    """
    member = functional.one_hot(classes, count).to(held.dtype) * held.unsqueeze(2)
    numbers = member.sum(dim=1, keepdim=True)
    weight = (member / numbers.clamp(min=1.0)).sum(dim=2)
    return weight / (numbers > 0).to(held.dtype).sum(dim=2).clamp(min=1.0)
