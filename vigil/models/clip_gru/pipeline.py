"""Training data of recognizers of embeddings in mmaction2's terms: a clip is a bag of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmaction.structures import ActionDataSample
from mmengine.structures import LabelData

from vigil.sequences import UNKNOWN

if TYPE_CHECKING:
    from vigil.models.reading import SequenceReading


@TRANSFORMS.register_module()
class CutSequences:
    """Cut a clip's sequences as they are served, at random moments when training."""

    def __init__(self, reading: SequenceReading, training: bool) -> None:
        """Take what says how sequences are cut."""
        self.reading, self.training = reading, training

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return `inputs` (K, L, D), zeros behind the clip's sequences, and its data sample.

        The sample's `said` is (K,): the class each sequence is known to show, -1 where it is not.
        """
        rng = np.random.default_rng(np.random.randint(0, 2**31 - 1)) if self.training else None
        found = self.reading.sequences(results, rng)
        cut = self.reading.cut
        inputs = np.zeros((cut.max_sequences, cut.length, self.reading.dim), np.float32)
        inputs[: len(found)] = found.embedding
        said = np.full(cut.max_sequences, UNKNOWN, np.int64)
        said[: len(found)] = found.label
        sample = ActionDataSample(metainfo={"said": said, "video_id": results["video_id"]})
        sample.gt_labels = LabelData(item=torch.tensor([int(results["label"])]))
        return {"inputs": torch.from_numpy(inputs), "data_samples": sample}


def pipeline(reading: SequenceReading, training: bool) -> list[dict[str, Any]]:
    """Return mmaction2's pipeline config."""
    return [{"type": "mmaction.CutSequences", "reading": reading, "training": training}]
