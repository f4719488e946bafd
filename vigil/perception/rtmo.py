"""RTMO: one-stage pose of every person in an image (Lu et al., CVPR 2024, arXiv 2312.07526).

What lies before and behind the graph that `vigil.perception.rtmo_network` exports; running it
needs neither torch nor mmpose.

The graph: `input` (batch, 3, H, W) float32, BGR, 0 to 255, letter-boxed at the top left with 114.
Out come the K best candidates by score, in pixels of the letter-boxed image: `boxes`
(batch, K, 4) xyxy, which may reach beyond it, `scores` (batch, K), `keypoints` (batch, K, 17, 3) as
x, y, score. Suppression of duplicates, and then cutting boxes at the edge, happens outside, in
`postprocess`, in mmpose's order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.perception.poses import Poses

PAD_VALUE: Final = 114


def preprocess(rgb: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float32], float]:
    """Letter-box an image for the network.

    Args:
        rgb: (H, W, 3) uint8, RGB.
        size: width and height in pixels of the network's input.

    Returns:
        A (3, height, width) float32 BGR tensor of 0 to 255, the image at the top left and 114
        around it; and the scale, input pixels per image pixel.
    """
    width, height = size
    scale = min(height / rgb.shape[0], width / rgb.shape[1])
    inner = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    resized = cv2.resize(rgb, inner, interpolation=cv2.INTER_LINEAR)
    canvas = np.full((height, width, 3), PAD_VALUE, dtype=np.uint8)
    canvas[: inner[1], : inner[0]] = resized
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1), dtype=np.float32), scale


def postprocess(
    outputs: Mapping[str, NDArray[np.float32]],
    scale: float,
    size: tuple[int, int],
    score_threshold: float = 0.1,
    nms_threshold: float = 0.65,
) -> Poses:
    """Turn the graph's candidates for one image into its persons.

    Args:
        outputs: one image's rows (no batch axis): `boxes` (K, 4), `scores` (K,) and `keypoints`
            (K, 17, 3); or, from the publisher's own graph, `dets` (K, 5) in place of the first two.
        scale: what `preprocess` returned for this image.
        size: width and height in pixels of the network's input, where boxes end.
        score_threshold: candidates at or below this are dropped.
        nms_threshold: a candidate whose box has an IoU above this with a better one is dropped.

    Returns:
        The persons in pixels of the original image, by falling score; possibly none.
    """
    if "dets" in outputs:
        boxes, scores = outputs["dets"][:, :4], outputs["dets"][:, 4]
    else:
        boxes, scores = outputs["boxes"], outputs["scores"]
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > score_threshold]
    order = order[_suppress(boxes[order], nms_threshold)]
    keypoints = outputs["keypoints"][order]
    return Poses(
        boxes=(np.clip(boxes[order], 0, (*size, *size)) / scale).astype(np.float32),
        scores=scores[order].astype(np.float32),
        keypoints=(keypoints[..., :2] / scale).astype(np.float32),
        keypoint_scores=keypoints[..., 2].astype(np.float32),
    )


def _suppress(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Greedy suppression; (N, 4) xyxy boxes come best first, indices of the kept ones go out."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[left, :2])
        high = np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        union = np.maximum(areas[best] + areas[left] - common, 1e-6)
        left = left[common / union <= threshold]
    return np.array(kept, dtype=np.intp)
