"""2s-AGCN (Shi et al., CVPR 2019) and its attention (AAGCN, TIP 2020) as a plug-in: mmaction2's.

The two streams of the name are two recognizers, of joints and of bones, whose scores are averaged.
"""

from __future__ import annotations

from typing import Any

from mmaction.models.backbones import AAGCN

from vigil.config import AAGCNSection, TrainSection
from vigil.models.heads import PresentPersonsHead
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import graph_recognizer_config

__all__ = ["AAGCN", "PresentPersonsHead", "SkeletonRecognizer", "model_config"]


def model_config(
    params: AAGCNSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`.

    Persons share the statistics of the input's normalization, where the paper keeps them apart:
    the number of persons is no part of the weights, and their order means nothing.
    """
    return graph_recognizer_config(
        params, num_classes, train, "AAGCN", "spatial", gcn_attention=params.attention
    )
