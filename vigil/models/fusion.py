"""Several recognizers joined by learned weights as one graph, whatever each of them reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vigil.models.clip_gru.pooling import pool, there
from vigil.models.reading import SequenceReading, SkeletonReading

LEAST = 1e-6  # of a probability whose logarithm is taken


class ClipOfSequences(nn.Module):
    """A recognizer of sequences as one of clips: it judges all of a clip's and pools them."""

    def __init__(self, graph: nn.Module, reads: SequenceReading) -> None:
        """Share the layers of `graph`."""
        super().__init__()
        self.graph, self.reads = graph, reads

    def forward(self, embeddings: Tensor) -> Tensor:
        """Map (B, K, L, D) sequences, zeros behind the clip's last, to (B, classes)."""
        reads, most = self.reads, self.reads.cut.max_sequences
        said = self.graph(embeddings.flatten(0, 1))[0]
        said = said.reshape(-1, most, said.shape[1])
        return pool(said, there(embeddings), reads.pool, reads.top_k, reads.normal)


class FusionGraph(nn.Module):
    """What is exported and served of a fusion: its logits weigh the members' log-probabilities."""

    def __init__(
        self,
        graphs: Sequence[nn.Module],
        reads: Sequence[SkeletonReading | SequenceReading],
        weights: Sequence[float],
        bias: Sequence[float],
    ) -> None:
        """Share the layers of `graphs`.

        Args:
            graphs: the members' inference graphs.
            reads: what each of them reads.
            weights: one per member.
            bias: one per class.
        """
        super().__init__()
        self.of_skeletons = [isinstance(one, SkeletonReading) for one in reads]
        self.graphs = nn.ModuleList(
            ClipOfSequences(graph, one) if isinstance(one, SequenceReading) else graph
            for graph, one in zip(graphs, reads, strict=True)
        )
        self.weights, self.bias = list(weights), torch.tensor(list(bias))
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch of clips.

        Args:
            inputs: what the members read: keypoints and image size, embeddings, or all three.

        Returns:
            (B, classes) probabilities and logits.
        """
        logits = self.bias.to(inputs[0])
        for graph, weight, of_skeletons in zip(
            self.graphs, self.weights, self.of_skeletons, strict=True
        ):
            said = graph(*inputs[:2])[0] if of_skeletons else graph(inputs[-1])
            logits = logits + weight * said.clamp(min=LEAST).log()
        return torch.softmax(logits, dim=1), logits
