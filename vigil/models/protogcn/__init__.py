"""ProtoGCN (Liu et al., CVPR 2025) as a plug-in: importing it registers its parts in mmaction2."""

from __future__ import annotations

from typing import Any

from vigil import compat
from vigil.config import ProtoGCNSection, TrainSection
from vigil.models.layouts import layout
from vigil.models.preprocess import parse_streams

compat.apply()  # `python -m vigil.models.protogcn.upstream` comes here before anything else

from vigil.models.protogcn.backbone import ProtoGCNBackbone  # noqa: E402
from vigil.models.protogcn.head import ProtoGCNHead  # noqa: E402
from vigil.models.recognizer import SkeletonRecognizer  # noqa: E402

__all__ = ["ProtoGCNBackbone", "ProtoGCNHead", "SkeletonRecognizer", "model_config"]


def model_config(
    params: ProtoGCNSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer.

    Args:
        params: the model's section.
        num_classes: classes.
        train: gives label smoothing; without it the training-only branch is left out.

    Returns:
        A config for mmaction2's MODELS registry.
    """
    described = params.model_dump(mode="json")["layout"]
    joints = layout(described).num_joints
    channels = params.base_channels * 2 ** (len(params.stages) - 1)
    return {
        "type": "SkeletonRecognizer",
        "layout": described,
        "stream": params.stream,
        "norm": params.norm,
        "min_score": params.min_score,
        "backbone": {
            "type": "ProtoGCNBackbone",
            "num_joints": joints,
            "in_channels": 3 * len(parse_streams(params.stream)),
            "base_channels": params.base_channels,
            "stages": list(params.stages),
            "alpha": params.alpha,
        },
        "cls_head": {
            "type": "ProtoGCNHead",
            "num_classes": num_classes,
            "in_channels": channels,
            "num_joints": joints,
            "persons": params.persons,
            "dropout": params.dropout,
            "w_csc": params.w_csc if train else 0.0,
            "prototypes": params.n_prototypes,
            "label_smooth_eps": train.label_smoothing if train else 0.0,
            "topk": 1,
        },
    }
