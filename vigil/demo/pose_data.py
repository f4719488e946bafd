"""COCO-format pose images kept in memory, and the cheap augmentation the pose training uses.

Knows: COCO keypoint annotations, letter-boxing, flips. Does not know: the network.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.models.layouts import layout
from vigil.perception.rtmo import PAD_VALUE, preprocess

FLIPPED: Final = np.array(layout("coco").mirror)
OCCLUDED_WEIGHT: Final = 0.5  # how visible a labeled but hidden joint (COCO's v = 1) counts
_LEAST_AREA_LEFT: Final = 0.3  # of a person's box inside the crop, to still be a person


@dataclass(frozen=True)
class Persons:
    """Ground truth of one image.

    Attributes:
        boxes: (N, 4) float32 xyxy, pixels.
        keypoints: (N, 17, 2) float32, pixels; meaningless where not visible.
        visible: (N, 17) float32: 1 seen, `OCCLUDED_WEIGHT` labeled but hidden, 0 not labeled.
        areas: (N,) float32, square pixels.
    """

    boxes: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    visible: NDArray[np.float32]
    areas: NDArray[np.float32]


@dataclass(frozen=True)
class PoseImages:
    """Letter-boxed images with their persons, all in the letter-boxed frame.

    Attributes:
        images: (N, H, W, 3) uint8, BGR.
        persons: one per image.
        ids: COCO image ids.
        scales: letter-boxed pixels per original pixel, one per image.
    """

    images: NDArray[np.uint8]
    persons: list[Persons]
    ids: list[int]
    scales: list[float]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)


def load(folder: Path, size: tuple[int, int], limit: int | None = None) -> PoseImages:
    """Read `annotations.json` and `images/` of a COCO-format folder into memory.

    Args:
        folder: where they lie.
        size: width and height in pixels to letter-box to.
        limit: read only this many images, the first by id.

    Raises:
        InputError: no annotations, or an image named there is missing or unreadable.
    """
    path = folder / "annotations.json"
    if not path.is_file():
        raise InputError(f"pose images: {path}: expected COCO annotations, got no file")
    coco = json.loads(path.read_text())
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in coco["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    entries = sorted(coco["images"], key=lambda entry: int(entry["id"]))[:limit]
    images = np.empty((len(entries), size[1], size[0], 3), dtype=np.uint8)
    persons, scales = [], []
    for row, entry in enumerate(entries):
        file = folder / "images" / Path(entry["file_name"]).name
        bgr = cv2.imread(str(file), cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f"pose images: {file}: expected an image, got none")
        tensor, scale = preprocess(bgr, size)  # swaps the channels, so that BGR becomes RGB
        images[row] = tensor[::-1].transpose(1, 2, 0)
        persons.append(persons_of(by_image[entry["id"]], scale))
        scales.append(scale)
    return PoseImages(images, persons, [int(entry["id"]) for entry in entries], scales)


def join(parts: Sequence[PoseImages]) -> PoseImages:
    """Return the images of several sets of one size as one set, numbered from 0 in their order."""
    if len(parts) == 1:
        return parts[0]  # gigabytes that need no copy
    return PoseImages(
        np.concatenate([part.images for part in parts]),
        [persons for part in parts for persons in part.persons],
        list(range(sum(map(len, parts)))),
        [scale for part in parts for scale in part.scales],
    )


def persons_of(annotations: list[dict[str, Any]], scale: float) -> Persons:
    """Return one image's persons, without crowds and who has no joint in the picture.

    Args:
        annotations: COCO annotations of the image.
        scale: result's pixels per pixel of the image.
    """
    kept = [a for a in annotations if not a.get("iscrowd") and any(a["keypoints"][2::3])]
    boxes = np.array([a["bbox"] for a in kept], dtype=np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    joints = np.array([a["keypoints"] for a in kept], dtype=np.float32).reshape(-1, 17, 3)
    areas = np.array([a["area"] for a in kept], dtype=np.float32)
    visible = np.choose(joints[..., 2].astype(int), [0.0, OCCLUDED_WEIGHT, 1.0])
    return Persons(
        boxes * scale, joints[..., :2] * scale, visible.astype(np.float32), areas * scale**2
    )


def augment(
    image: NDArray[np.uint8],
    persons: Persons,
    size: tuple[int, int],
    zoom: tuple[float, float],
    random: np.random.Generator,
    focus: float = 0.0,
) -> tuple[NDArray[np.uint8], Persons]:
    """Flip, zoom, shift and recolor one image.

    Args:
        image: (H, W, 3) uint8.
        persons: its ground truth.
        size: width and height in pixels of the result.
        zoom: least and greatest magnification, 1 being "the whole image just fits".
        random: source of all chance.
        focus: chance that the shift brings a person near the middle.

    Returns:
        The (height, width, 3) uint8 result and the persons still mostly inside it.
    """
    width, height = size
    full = np.array(image.shape[1::-1], dtype=np.float64)
    scale = min(width / full[0], height / full[1]) * random.uniform(*zoom)
    slack = np.array(size) - full * scale
    shift = slack * random.uniform(-0.05, 1.05, size=2)
    if len(persons.boxes) and random.random() < focus:
        box = persons.boxes[random.integers(len(persons.boxes))]
        aim = np.array(size) * random.uniform(0.35, 0.65, size=2)
        shift = aim - scale * (box[:2] + box[2:]) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if random.random() < 0.5:
        matrix[0] = [-scale, 0, width - 1 - shift[0]]
    warped = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderValue=(PAD_VALUE,) * 3
    )
    return cv2.LUT(warped, _color_table(random)), _move(persons, matrix, size)


def _color_table(random: np.random.Generator) -> NDArray[np.uint8]:
    """(1, 256, 3) uint8 look-up table: random gain, contrast around mid-gray and tint."""
    gain = random.uniform(0.7, 1.3) * random.uniform(0.92, 1.08, size=3)
    offset = random.uniform(-20, 20)
    levels = np.arange(256, dtype=np.float64)[None, :, None]
    return np.clip(levels * gain + offset, 0, 255).astype(np.uint8)


def _move(persons: Persons, matrix: NDArray[np.float64], size: tuple[int, int]) -> Persons:
    """Carry persons through an axis-aligned affine map and clip them to the new image."""
    scale = matrix[1, 1]
    factors, shift = np.array([matrix[0, 0], scale]), matrix[:, 2]
    limit = np.array(size, dtype=np.float64)
    corners = persons.boxes.reshape(-1, 2, 2) * factors + shift
    before = np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)
    after = np.clip(before, 0, limit)
    left = np.diff(after, axis=1).prod(axis=2) / np.diff(before, axis=1).prod(axis=2).clip(1e-6)
    joints = persons.keypoints * factors + shift
    inside = ((joints >= 0) & (joints < limit)).all(axis=2)
    visible = persons.visible * inside
    if matrix[0, 0] < 0:
        joints, visible = joints[:, FLIPPED], visible[:, FLIPPED]
    keep = (left[:, 0] >= _LEAST_AREA_LEFT) & (visible.sum(axis=1) > 0)
    return Persons(
        after.reshape(-1, 4)[keep].astype(np.float32),
        joints[keep].astype(np.float32),
        visible[keep].astype(np.float32),
        (persons.areas * scale**2)[keep].astype(np.float32),
    )
