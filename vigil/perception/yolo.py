"""YOLO11 around its ONNX graph: letterbox in front, raw output to boxes and masks behind.

Knows: ultralytics' geometry and the layout of the raw `output0` (and prototypes of the `-seg`
networks). Does not know: how the graph is run, nor ultralytics itself (`yolo_network` builds,
loads and exports the network). Non-maximum suppression happens here, outside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import ModelError

PERSON = 0  # class index of a person, in COCO's 80 classes and in the demo's single one
MASK_COEFFICIENTS = 32
_PAD_VALUE = 114
_MAX_CANDIDATES = 30_000  # anchors that enter non-maximum suppression, best first


@dataclass(frozen=True, slots=True)
class Detections:
    """What one image holds, as parallel arrays by falling score.

    Attributes:
        xyxy: (N, 4) float32, pixels of the original image, clipped to it.
        score: (N,) float32 in [0, 1].
        class_id: (N,) int32.
        masks: (N, H, W) bool at the original size, each inside its box; None without prototypes.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    class_id: NDArray[np.int32]
    masks: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an original image lies inside the network's input.

    Attributes:
        height, width: original image, pixels.
        input_height, input_width: the network's input, pixels.
    """

    height: int
    width: int
    input_height: int
    input_width: int

    @property
    def content(self) -> tuple[int, int]:
        """(width, height) of the resized image inside the input, pixels."""
        ratio = min(self.input_height / self.height, self.input_width / self.width)
        return max(round(self.width * ratio), 1), max(round(self.height * ratio), 1)

    @property
    def offset(self) -> tuple[int, int]:
        """(x, y) of the resized image's top left corner inside the input, pixels."""
        width, height = self.content
        return (
            round((self.input_width - width) / 2 - 0.1),
            round((self.input_height - height) / 2 - 0.1),
        )

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) input pixels per original pixel."""
        width, height = self.content
        return width / self.width, height / self.height

    def to_original(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes of the input as boxes of the original image.

        Args:
            xyxy: (N, 4), input pixels.

        Returns:
            (N, 4) float32, pixels of the original image, clipped to it.
        """
        offset = np.asarray(self.offset * 2, dtype=np.float32)
        scale = np.asarray(self.scale * 2, dtype=np.float32)
        limit = np.asarray((self.width, self.height) * 2, dtype=np.float32)
        return np.clip((xyxy - offset) / scale, 0, limit).astype(np.float32)


def preprocess(
    rgb: NDArray[np.uint8], input_height: int, input_width: int
) -> tuple[NDArray[np.float32], Letterbox]:
    """Fit an image into the network's input, its shape kept, the rest gray.

    Args:
        rgb: (H, W, 3) uint8 in [0, 255].
        input_height: of the network's input, pixels.
        input_width: likewise.

    Returns:
        (3, input_height, input_width) float32 RGB in [0, 1], and where the image lies in it.
    """
    box = Letterbox(rgb.shape[0], rgb.shape[1], input_height, input_width)
    width, height = box.content
    x, y = box.offset
    canvas = np.full((input_height, input_width, 3), _PAD_VALUE, dtype=np.uint8)
    same = (height, width) == rgb.shape[:2]
    canvas[y : y + height, x : x + width] = rgb if same else cv2.resize(rgb, (width, height))
    return np.ascontiguousarray(canvas.transpose(2, 0, 1), dtype=np.float32) / np.float32(255), box


def postprocess(
    output: NDArray[np.float32],
    letterboxes: Sequence[Letterbox],
    prototypes: NDArray[np.float32] | None = None,
    confidence: float = 0.25,
    iou: float = 0.7,
    classes: Sequence[int] | None = (PERSON,),
    max_detections: int = 300,
) -> list[Detections]:
    """Turn the graph's raw output into detections of the original images.

    Args:
        output: (B, 4 + classes [+ 32], anchors) float32: center x, center y, width, height in
            input pixels, a probability per class, and with `prototypes` 32 mask coefficients.
        letterboxes: B of them, from `preprocess`.
        prototypes: (B, 32, h, w) float32 of a `-seg` network, which asks for masks.
        confidence: anchors with a best class probability at or below this are dropped, [0, 1].
        iou: of two boxes of one class overlapping more than this, the weaker is dropped, [0, 1].
        classes: class indices to keep; None keeps all.
        max_detections: at most this many per image, the best.

    Returns:
        B detections.

    Raises:
        ModelError: the output's shape cannot be a YOLO11's.
    """
    coefficients = MASK_COEFFICIENTS if prototypes is not None else 0
    n_classes = output.shape[1] - 4 - coefficients if output.ndim == 3 else 0
    if n_classes < 1 or len(output) != len(letterboxes):
        raise ModelError(
            f"yolo: output0: expected ({len(letterboxes)}, {5 + coefficients} or more, anchors), "
            f"got {output.shape}"
        )
    found = []
    for i, letterbox in enumerate(letterboxes):
        xyxy, score, class_id, anchor = _select(
            output[i], n_classes, confidence, iou, classes, max_detections
        )
        original = letterbox.to_original(xyxy)
        masks = None
        if prototypes is not None:
            weights = output[i][4 + n_classes :, anchor]
            masks = _instance_masks(weights, prototypes[i], original, letterbox)
        found.append(Detections(original, score, class_id, masks))
    return found


def suppress(
    xyxy: NDArray[np.float32], score: NDArray[np.float32], iou: float
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression.

    Args:
        xyxy: (N, 4) in any one frame of coordinates.
        score: (N,); ties keep the order of the input.
        iou: a box whose overlap with a kept, better one is above this is dropped.

    Returns:
        (K,) int64 indices of the kept boxes by falling score.
    """
    order = np.argsort(-score, kind="stable")
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    kept: list[int] = []
    while len(order):
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        low = np.maximum(xyxy[best, :2], xyxy[rest, :2])
        high = np.minimum(xyxy[best, 2:], xyxy[rest, 2:])
        intersection = np.prod(np.maximum(high - low, 0), axis=1)
        union = area[best] + area[rest] - intersection
        order = rest[intersection <= iou * union]
    return np.asarray(kept, dtype=np.int64)


def _select(
    rows: NDArray[np.float32],
    n_classes: int,
    confidence: float,
    iou: float,
    classes: Sequence[int] | None,
    max_detections: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """One image's (rows, anchors) as xyxy in input pixels, score, class and anchor index."""
    probability = rows[4 : 4 + n_classes]
    class_id = probability.argmax(axis=0)
    score = probability.max(axis=0)
    keep = score > confidence
    if classes is not None:
        keep &= np.isin(class_id, list(classes))
    anchor = np.flatnonzero(keep)
    anchor = anchor[np.argsort(-score[anchor], kind="stable")[:_MAX_CANDIDATES]]
    x, y, width, height = rows[:4, anchor]
    xyxy = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
    # Boxes of different classes are moved apart, so that one pass treats each class by itself.
    span = np.float32(xyxy.max(initial=0) - xyxy.min(initial=0) + 1)
    moved = xyxy + (class_id[anchor, None] * span).astype(np.float32)
    kept = suppress(moved, score[anchor], iou)[:max_detections]
    anchor = anchor[kept]
    return xyxy[kept], score[anchor], class_id[anchor].astype(np.int32), anchor


def _instance_masks(
    coefficients: NDArray[np.float32],
    prototypes: NDArray[np.float32],
    xyxy: NDArray[np.float32],
    letterbox: Letterbox,
) -> NDArray[np.bool_]:
    """Mask logits, sampled at the original's pixels and cut to the boxes.

    Args:
        coefficients: (32, N).
        prototypes: (32, h, w), covering the whole input.
        xyxy: (N, 4) pixels of the original image.
        letterbox: where the original lies in the input.

    Returns:
        (N, H, W) bool.
    """
    _, height, width = prototypes.shape
    masks = np.zeros((len(xyxy), letterbox.height, letterbox.width), dtype=np.bool_)
    logits = np.tensordot(coefficients.T, prototypes, axes=1)
    cell = np.array([letterbox.input_width / width, letterbox.input_height / height])
    step = np.asarray(letterbox.scale) / cell
    for mask, logit, box in zip(masks, logits, xyxy, strict=True):
        # Pixels whose index lies in [x1, x2) x [y1, y2): ultralytics' own cut.
        left, top, right, bottom = np.ceil(box).astype(int)
        if right <= left or bottom <= top:
            continue
        start = (np.array([left, top]) + 0.5) * step + np.asarray(letterbox.offset) / cell - 0.5
        affine = np.array([[step[0], 0, start[0]], [0, step[1], start[1]]])
        sampled = cv2.warpAffine(
            logit,
            affine,
            (int(right - left), int(bottom - top)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask[top:bottom, left:right] = sampled > 0
    return masks
