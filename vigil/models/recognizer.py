"""A skeleton recognizer: pixels in, class scores out, with any backbone of mmaction2's registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.models.recognizers.base import BaseRecognizer
from mmaction.registry import MODELS
from torch import Tensor, nn

from vigil.models.preprocess import Norm, SkeletonInput


@MODELS.register_module()
class SkeletonRecognizer(BaseRecognizer):  # type: ignore[misc]
    """mmaction2's graph recognizer with the preparation of keypoints as its first layer.

    Attributes:
        temperature: what its served logits are divided by; see `vigil.models.calibrating`.
    """

    temperature = 1.0

    def __init__(
        self,
        layout: str | Mapping[str, Any],
        stream: str = "j",
        norm: Norm = "box",
        min_score: float = 0.0,
        **modules: Any,
    ) -> None:
        """Build the recognizer.

        Args:
            layout: see `SkeletonInput`, as the next three.
            stream: part of the skeleton's motion to look at.
            norm: unit of the coordinates.
            min_score: joints scored at or below it are missing.
            modules: configs of mmaction2's `BaseRecognizer`: `backbone`, `cls_head`.
        """
        stack = {"type": "mmaction.ActionDataPreprocessor"}
        super().__init__(**{"data_preprocessor": stack, **modules})
        self.prepare = SkeletonInput(layout, stream, norm, min_score)

    def extract_feat(
        self, inputs: Tensor, data_samples: list[Any], stage: str = "backbone", **_: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Run the backbone, and the head where `stage` is `head`.

        Args:
            inputs: (B, clips, M, T, 17, 3) float32 pixels and scores.
            data_samples: B samples whose `img_shape` is (height, width) in pixels.
            stage: `backbone` or `head`.

        Returns:
            The features of B * clips rows and what the head takes beside them, the persons who
            are there; or the scores and nothing else.
        """
        clips = inputs.shape[1]
        sizes = [sample.metainfo["img_shape"][::-1] for sample in data_samples]
        image_size = inputs.new_tensor(sizes).repeat_interleave(clips, dim=0)
        keypoints = inputs.flatten(0, 1)
        with torch.autocast(keypoints.device.type, enabled=False):  # steps of joints are small
            prepared = self.prepare(keypoints, image_size)
        features = self.backbone(prepared)
        present = self.prepare.present(keypoints)
        if stage == "head":
            return self.cls_head(features, present=present), {}
        return features, {"present": present}

    def predict(self, inputs: Tensor, data_samples: list[Any], **_: Any) -> list[Any]:
        """Return the samples with `pred_scores`: probabilities, averaged over clips."""
        features, persons = self.extract_feat(inputs, data_samples)
        predicted: list[Any] = self.cls_head.predict(features, data_samples, **persons)
        return predicted

    def inference_graph(self) -> InferenceGraph:
        """Return what is exported and served of this recognizer; layers are shared."""
        return InferenceGraph(self)


class InferenceGraph(nn.Module):
    """What is exported and served: keypoints and frame size to probabilities and logits."""

    def __init__(self, recognizer: SkeletonRecognizer) -> None:
        """Share the layers of `recognizer`, put into evaluation mode."""
        super().__init__()
        self.prepare = recognizer.prepare
        self.backbone = recognizer.backbone
        self.head = recognizer.cls_head
        self.temperature = recognizer.temperature
        self.eval()

    def forward(self, keypoints: Tensor, image_size: Tensor) -> tuple[Tensor, Tensor]:
        """Classify a batch.

        Args:
            keypoints: (B, M, T, 17, 3) float32: x, y in pixels of the original frame, score.
            image_size: (B, 2) float32 width, height in pixels.

        Returns:
            (B, classes) probabilities summing to 1, and (B, classes) logits.
        """
        features = self.backbone(self.prepare(keypoints, image_size))
        logits = self.head(features, present=self.prepare.present(keypoints)) / self.temperature
        return torch.softmax(logits, dim=1), logits
