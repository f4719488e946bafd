"""Parameters and networks for films of red people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import red_networks
from tests.videos import HEIGHT, WIDTH
from vigil.config import (
    DetectorSection,
    MaskSection,
    SegmenterSection,
    SkeletonsSection,
    TrackerSection,
)

SIZE = (WIDTH, HEIGHT)


def mask_section(
    detector: str = "yolo11-seg", mode: str = "image", **changes: object
) -> MaskSection:
    values = {
        "max_persons": 20,
        "detector": DetectorSection(
            name=detector, input_size=SIZE, score_threshold=0.1, nms_threshold=0.6
        ),
        "tracker": TrackerSection(
            high_threshold=0.4,
            low_threshold=0.1,
            new_track_threshold=0.5,
            buffer_s=1.0,
            match_threshold=0.8,
        ),
        "segmenter": SegmenterSection(mode=mode, keyframe_s=0.5, crop=True, dilate_px=0),
    }
    return MaskSection(**{**values, **changes})


def skeletons_section(pose: str = "rtmo", **changes: object) -> SkeletonsSection:
    values = {
        "pose": pose,
        "source": "raw",
        "input_size": SIZE,
        "score_threshold": 0.2,
        "nms_threshold": 0.65,
        "keypoint_threshold": 0.1,
        "match_iou": 0.3,
        "smooth_s": 0.0,
    }
    return SkeletonsSection(**{**values, **changes})


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ONNX files by what they are."""
    folder = tmp_path_factory.mktemp("networks")
    return {
        "yolo11": red_networks.detector(folder / "yolo11.onnx"),
        "yolo11-seg": red_networks.detector(folder / "seg.onnx", masks=True),
        "yolo11-fixed": red_networks.detector(folder / "fixed.onnx", batch=1),
        "yolo-pose": red_networks.yolo_pose(folder / "pose.onnx"),
        "rtmo": red_networks.rtmo(folder / "rtmo.onnx"),
    }
