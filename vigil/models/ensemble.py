"""The weighted mean of several recognizers as one graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class EnsembleGraph(nn.Module):
    """What is exported and served of an ensemble; inputs and outputs are those of its members."""

    def __init__(self, graphs: Sequence[nn.Module], weights: Sequence[float]) -> None:
        """Share the layers of `graphs`.

        Args:
            graphs: the members, see `vigil.models.recognizer.InferenceGraph`.
            weights: one weight above 0 per member, summing to 1.
        """
        super().__init__()
        self.graphs = nn.ModuleList(graphs)
        self.logs = [math.log(weight) for weight in weights]
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Args:
            inputs: what every member reads, (B, ...) each; see `vigil.models.reading`.

        Returns:
            (B, classes) weighted mean of the members' probabilities, and its logarithm as logits:
            their softmax is the mean again, and neither underflows where a probability is tiny.
        """
        parts = [
            torch.log_softmax(graph(*inputs)[1], dim=1) + log
            for graph, log in zip(self.graphs, self.logs, strict=True)
        ]
        logits = torch.logsumexp(torch.stack(parts), dim=0)
        return torch.softmax(logits, dim=1), logits
