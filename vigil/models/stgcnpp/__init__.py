"""STGCN++ (Duan et al., ACM MM 2022) as a plug-in: mmaction2's, in its published setting."""

from __future__ import annotations

from typing import Any

from vigil.config import STGCNPPSection, TrainSection
from vigil.models.heads import PresentPersonsHead
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import graph_recognizer_config
from vigil.models.stgcn.backbone import MatmulSTGCN

__all__ = ["MatmulSTGCN", "PresentPersonsHead", "SkeletonRecognizer", "model_config"]


def model_config(
    params: STGCNPPSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`.

    The adjacency itself is learned, the graph unit has a residual, and time is mixed by six
    parallel branches.
    """
    return graph_recognizer_config(
        params, num_classes, train, "MatmulSTGCN", "spatial",
        gcn_adaptive="init", gcn_with_res=True, tcn_type="mstcn",
    )  # fmt: skip
