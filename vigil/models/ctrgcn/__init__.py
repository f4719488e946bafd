"""CTR-GCN (Chen et al., ICCV 2021) as a plug-in: importing it registers it in mmaction2."""

from __future__ import annotations

from typing import Any

from vigil.config import CTRGCNSection, TrainSection
from vigil.models.ctrgcn.backbone import CTRGCNBackbone
from vigil.models.heads import PresentPersonsHead
from vigil.models.layouts import layout
from vigil.models.preprocess import parse_streams
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import graph_config, graph_head_config, layout_of, recognizer_config

__all__ = ["CTRGCNBackbone", "PresentPersonsHead", "SkeletonRecognizer", "model_config"]


def model_config(
    params: CTRGCNSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`."""
    backbone = {
        "type": "CTRGCNBackbone",
        "graph_cfg": graph_config(layout(layout_of(params)), "spatial"),
        "in_channels": 3 * len(parse_streams(params.stream)),
        "base_channels": params.base_channels,
        "stages": list(params.stages),
    }
    return recognizer_config(params, num_classes, train, backbone, graph_head_config(params))
