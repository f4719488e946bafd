"""A recognizer of embeddings: the sequences of a clip in, class scores out."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from torch import Tensor, nn

from vigil.models.clip_gru.pooling import there


@MODELS.register_module()
class SequenceRecognizer(BaseRecognizer):  # type: ignore[misc]
    """An encoder and a head over all sequences of a clip, in mmaction2's terms.

    Attributes:
        temperature: what its served logits are divided by; see `vigil.models.calibrating`.
    """

    temperature = 1.0

    def __init__(self, **modules: Any) -> None:
        """Build it from the configs `backbone` and `cls_head`."""
        stack = {"type": "mmaction.ActionDataPreprocessor"}
        super().__init__(**{"data_preprocessor": stack, **modules})

    def extract_feat(
        self, inputs: Tensor, data_samples: list[Any], stage: str = "backbone", **_: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Run the encoder, and the head where `stage` is `head`.

        Args:
            inputs: (B, K, L, D) float32, a clip's sequences; padding is zeros.
            data_samples: B samples whose `said` is the (K,) class of each sequence, -1 unknown.
            stage: `backbone` or `head`.

        Returns:
            (B * K, L, W) features and what the head takes beside them: which sequences are there,
            and what they show; or the (B * K, classes) scores and nothing else.
        """
        features = self.backbone(inputs.flatten(0, 1))
        if stage == "head":
            return self.cls_head(features), {}
        said = torch.stack([torch.as_tensor(sample.metainfo["said"]) for sample in data_samples])
        return features, {"held": there(inputs), "said": said.long().to(inputs.device)}

    def predict(self, inputs: Tensor, data_samples: list[Any], **_: Any) -> list[Any]:
        """Return the samples with `pred_scores`: the clips' probabilities."""
        features, beside = self.extract_feat(inputs, data_samples)
        predicted: list[Any] = self.cls_head.predict(features, data_samples, **beside)
        return predicted

    def inference_graph(self) -> SequenceGraph:
        """Return what is exported and served of this recognizer; layers are shared."""
        return SequenceGraph(self)


class SequenceGraph(nn.Module):
    """What is exported and served: sequences to probabilities and logits."""

    def __init__(self, recognizer: SequenceRecognizer) -> None:
        """Share the layers of `recognizer`, put into evaluation mode."""
        super().__init__()
        self.backbone, self.head = recognizer.backbone, recognizer.cls_head
        self.temperature = recognizer.temperature
        self.eval()

    def forward(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Args:
            embeddings: (B, L, D) float32, one track's sequence a row, embeddings of length 1.

        Returns:
            (B, classes) probabilities summing to 1, and (B, classes) logits.
        """
        logits = self.head(self.backbone(embeddings)) / self.temperature
        return torch.softmax(logits, dim=1), logits
