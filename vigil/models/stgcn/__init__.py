"""ST-GCN (Yan et al., AAAI 2018) as a plug-in: mmaction2's, in the paper's partition."""

from __future__ import annotations

from typing import Any

from vigil.config import STGCNSection, TrainSection
from vigil.models.heads import PresentPersonsHead
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import graph_recognizer_config
from vigil.models.stgcn.backbone import MatmulSTGCN

__all__ = ["MatmulSTGCN", "PresentPersonsHead", "SkeletonRecognizer", "model_config"]


def model_config(
    params: STGCNSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`."""
    return graph_recognizer_config(params, num_classes, train, "MatmulSTGCN", "stgcn_spatial")
