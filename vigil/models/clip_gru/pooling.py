"""From the sequences of a clip to the clip, inside a graph: `vigil.sequences.pool` in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from vigil.sequences import Pool


def there(embeddings: Tensor) -> Tensor:
    """Tell which of a clip's (B, K, L, D) sequences are no padding: (B, K) of 0 and 1.

    Padding is all zeros and comes last. The first sequence is always there: a clip without any
    embedding is one sequence of zeros.
    """
    held = embeddings.abs().flatten(2).amax(dim=2) > 0
    first = torch.ones_like(held[:, :1])
    return torch.cat([first, held[:, 1:]], dim=1).to(embeddings.dtype)


def pool(probabilities: Tensor, held: Tensor, how: Pool, top_k: int, normal: int) -> Tensor:
    """Pool (B, K, classes) probabilities over the sequences that are there.

    Args:
        probabilities: of every sequence.
        held: (B, K) of 0 and 1, at least one 1 in each row.
        how: see `vigil.sequences.pool`, as the next two.
        top_k: of `top`; at most K.
        normal: index of the class that is not an event.

    Returns:
        (B, classes).
    """
    if how == "mean":
        weight = held
    else:
        most = 1 if how == "max" else top_k
        event = (1.0 - probabilities[..., normal]) * held + (held - 1.0)  # absent: -1
        chosen = event.topk(most, dim=1).indices
        weight = torch.zeros_like(held).scatter(1, chosen, 1.0) * held
    weight = weight / weight.sum(dim=1, keepdim=True)
    return (probabilities * weight.unsqueeze(-1)).sum(dim=1)
