"""Motion statistics of persons and pairs with a linear model behind them, as a plug-in.

A hundred numbers that can be read instead of a hundred thousand that cannot: the expert that a
network of few clips is joined with in an ensemble, trained, exported and served like any other.
"""

from __future__ import annotations

from typing import Any

from vigil.config import KinematicsSection, TrainSection
from vigil.models.kinematics.backbone import KinematicsBackbone, StatisticsHead
from vigil.models.kinematics.statistics import PAIR, PERSON
from vigil.models.recognizer import SkeletonRecognizer
from vigil.models.shelf import recognizer_config

__all__ = ["KinematicsBackbone", "SkeletonRecognizer", "StatisticsHead", "model_config"]


def model_config(
    params: KinematicsSection, num_classes: int, train: TrainSection | None = None
) -> dict[str, Any]:
    """Return the mmaction2 config of the recognizer; see `vigil.models.model_config`."""
    backbone = {"type": "KinematicsBackbone", "step": params.step}
    head = {"type": "StatisticsHead", "in_channels": 2 * len(PERSON) + len(PAIR)}
    return recognizer_config(params, num_classes, train, backbone, head)
