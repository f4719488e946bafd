"""PoseC3D (Duan et al., CVPR 2022) as a plug-in: heat maps of joints, then mmaction2's SlowOnly.

The heat maps are made inside the network from the same keypoints that every recognizer reads, so
a service sends it nothing else.
"""

from __future__ import annotations

from typing import Any

from vigil.config import PoseC3DSection, TrainSection
from vigil.models.layouts import layout
from vigil.models.posec3d.backbone import HeatmapSlowOnly
from vigil.models.posec3d.head import VolumeHead
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import layout_of, recognizer_config

__all__ = ["HeatmapSlowOnly", "SkeletonRecognizer", "VolumeHead", "model_config"]


def model_config(
    params: PoseC3DSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`."""
    backbone = {
        "type": "HeatmapSlowOnly",
        "joints": layout(layout_of(params)).num_joints,
        "base_channels": params.base_channels,
        "stages": list(params.stages),
        "size": params.heatmap_size,
        "sigma": params.sigma,
        "margin": 0.25 if params.norm == "box" else 0.0,
    }
    channels = params.base_channels * 4 * 2 ** (len(params.stages) - 1)
    head = {"type": "VolumeHead", "in_channels": channels}
    return recognizer_config(params, num_classes, train, backbone, head)
