"""ONNX networks that find the red people of `tests.videos`, with the real ones' inputs and outputs.

The score of a place is how red a person-sized window there is. Everything around the graph is the
product's own: sessions, letterbox, suppression, tracks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from tests.networks import FLOAT, save
from tests.videos import HEIGHT, PERSON, WIDTH

STRIDE = 4
MISSING_JOINT = 9  # its score is next to nothing
JOINT_OFFSETS = np.array([[16 + (8 if j % 2 else -8), 4 + 3.5 * j] for j in range(17)], np.float32)


def detector(path: Path, masks: bool = False, batch: int | str = "batch") -> Path:
    """Write a YOLO11 (or -seg): `images` RGB 0 to 1, `output0` (batch, 5 [+ 32], anchors)."""
    nodes, weights, anchors = _score_nodes([1, -1, 0], scale=1)
    weights["xywh"] = _xywh()[None]
    nodes.append(helper.make_node("Add", ["xywh", "nought"], ["places"]))
    outputs = [helper.make_tensor_value_info("output0", FLOAT, [batch, 5, anchors])]
    if not masks:
        nodes.append(helper.make_node("Concat", ["places", "score"], ["output0"], axis=1))
    else:
        weights["pick"] = np.eye(32, 1, dtype=np.float32)[None] * 10
        weights["half"] = np.float32([0.5])
        weights["spread"] = np.eye(32, 1, dtype=np.float32)[:, :, None, None]
        nodes += [
            helper.make_node("Add", ["pick", "nought"], ["coefficients"]),
            helper.make_node("Concat", ["places", "score", "coefficients"], ["output0"], axis=1),
            helper.make_node(
                "AveragePool", ["redness"], ["small"], kernel_shape=[4, 4], strides=[4, 4]
            ),
            helper.make_node("Sub", ["small", "half"], ["centered"]),
            helper.make_node("Conv", ["centered", "spread"], ["output1"]),
        ]
        outputs = [
            helper.make_tensor_value_info("output0", FLOAT, [batch, 37, anchors]),
            helper.make_tensor_value_info("output1", FLOAT, [batch, 32, HEIGHT // 4, WIDTH // 4]),
        ]
    return save(path, nodes, [_image("images", batch)], outputs, weights)


def yolo_pose(path: Path, batch: int | str = "batch") -> Path:
    """Write a YOLOv8-pose: `images` RGB 0 to 1, `output0` (batch, 56, anchors)."""
    nodes, weights, anchors = _score_nodes([1, -1, 0], scale=1)
    weights["xywh"] = _xywh()[None]
    weights["joints"] = _joints().reshape(anchors, 51).T[None].copy()
    nodes += [
        helper.make_node("Add", ["xywh", "nought"], ["places"]),
        helper.make_node("Add", ["joints", "nought"], ["points"]),
        helper.make_node("Concat", ["places", "score", "points"], ["output0"], axis=1),
    ]
    output = helper.make_tensor_value_info("output0", FLOAT, [batch, 56, anchors])
    return save(path, nodes, [_image("images", batch)], [output], weights)


def rtmo(path: Path, batch: int | str = "batch") -> Path:
    """Write an RTMO: `input` BGR 0 to 255; `boxes`, `scores`, `keypoints` of every place."""
    nodes, weights, anchors = _score_nodes([0, -1, 1], scale=1 / 255)
    x, y, w, h = _xywh()
    weights["xyxy"] = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)[None]
    weights["joints"] = _joints()[None]
    weights["flat"] = np.array([0, -1])
    weights["tall"] = np.array([0, -1, 1])
    weights["deep"] = np.array([0, -1, 1, 1])
    nodes += [
        helper.make_node("Reshape", ["score", "flat"], ["scores"]),
        helper.make_node("Reshape", ["nought", "tall"], ["nought3"]),
        helper.make_node("Reshape", ["nought", "deep"], ["nought4"]),
        helper.make_node("Add", ["xyxy", "nought3"], ["boxes"]),
        helper.make_node("Add", ["joints", "nought4"], ["keypoints"]),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", FLOAT, [batch, anchors, 4]),
        helper.make_tensor_value_info("scores", FLOAT, [batch, anchors]),
        helper.make_tensor_value_info("keypoints", FLOAT, [batch, anchors, 17, 3]),
    ]
    return save(path, nodes, [_image("input", batch)], outputs, weights)


def _image(name: str, batch: int | str) -> object:
    return helper.make_tensor_value_info(name, FLOAT, [batch, 3, HEIGHT, WIDTH])


def _score_nodes(channels: list[int], scale: float) -> tuple[list, dict, int]:
    """Nodes from the image to `score` and `nought`, a zero of its shape: (batch, 1, anchors)."""
    image = "images" if scale == 1 else "input"
    weights = {
        "red": np.float32(channels).reshape(1, 3, 1, 1) * np.float32(scale),
        "least": np.float32([0.8 * 0.82]),  # 0.82: how red the film's red is
        "steep": np.float32([5 / 0.82]),
        "zero": np.float32([0]),
        "low": np.float32(0),
        "high": np.float32(1),
        "row": np.array([0, 1, -1]),
    }
    pool = {"kernel_shape": [PERSON[1], PERSON[0]], "strides": [STRIDE, STRIDE]}
    nodes = [
        helper.make_node("Conv", [image, "red"], ["redness"]),
        helper.make_node("AveragePool", ["redness"], ["mean"], **pool),
        helper.make_node("Sub", ["mean", "least"], ["over"]),
        helper.make_node("Mul", ["over", "steep"], ["sharp"]),
        helper.make_node("Clip", ["sharp", "low", "high"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "row"], ["score"]),
        helper.make_node("Mul", ["score", "zero"], ["nought"]),
    ]
    return nodes, weights, _xywh().shape[1]


def _xywh() -> np.ndarray:
    """Return (4, anchors): center x, center y, width, height of every window."""
    down, across = (HEIGHT - PERSON[1]) // STRIDE + 1, (WIDTH - PERSON[0]) // STRIDE + 1
    y, x = np.mgrid[:down, :across].reshape(2, -1) * STRIDE
    ones = np.ones_like(x)
    rows = [x + PERSON[0] / 2, y + PERSON[1] / 2, ones * PERSON[0], ones * PERSON[1]]
    return np.stack(rows).astype(np.float32)


def _joints() -> np.ndarray:
    """Return (anchors, 17, 3): x, y and score of every joint of a person in every window."""
    x, y, w, h = _xywh()
    corner = np.stack([x - w / 2, y - h / 2], axis=1)
    xy = corner[:, None] + JOINT_OFFSETS
    score = np.full((*xy.shape[:2], 1), 0.9, np.float32)
    score[:, MISSING_JOINT] = 0.02
    return np.concatenate([xy, score], axis=2).astype(np.float32)
