"""Training material of the demo's segmenter: crops of synthetic scenes, boxes and masks.

Knows: the COCO files of `vigil.demo.images` and how the segmenter cuts crops. Does not know: the
network or its training (`vigil.demo.train_sam2`).
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.perception.sam2_crops import boxes_in_crop, crop_input, plan_crops, square_region

if TYPE_CHECKING:
    import torch

_BACKGROUND_SHARE = 0.1  # of the prompts: a box that holds nobody


@dataclass
class Scenes:
    """Annotated images of one folder.

    Attributes:
        folder: holds `images/`.
        files: image file names.
        boxes: per image, (N, 4) float32 xyxy pixels, crowds left out.
        rles: per image, N COCO run-length masks.
    """

    folder: Path
    files: list[str] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    rles: list[list[Any]] = field(default_factory=list)

    def image(self, i: int) -> NDArray[np.uint8]:
        """Image i as (H, W, 3) uint8 RGB."""
        bgr = cv2.imread(str(self.folder / "images" / self.files[i]))
        if bgr is None:
            raise InputError(f"masks: {self.files[i]}: expected an image, got none")
        return np.ascontiguousarray(bgr[..., ::-1])

    def mask(self, i: int, person: int) -> NDArray[np.uint8]:
        """(H, W) uint8 of one person of image i, 1 inside."""
        from pycocotools import mask

        decoded: NDArray[np.uint8] = mask.decode(self.rles[i][person])
        return decoded


def read_scenes(folder: Path) -> Scenes:
    """Find the images of a folder that show at least one person.

    Args:
        folder: `annotations.json` (COCO, run-length masks) and `images/`.

    Returns:
        Boxes and masks by image; pixels are read when asked for.

    Raises:
        InputError: no annotations, or nobody in them.
    """
    from pycocotools.coco import COCO

    source = folder / "annotations.json"
    if not source.is_file():
        raise InputError(f"masks: {source}: expected COCO annotations, got no such file")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(source))
    scenes = Scenes(folder)
    for image_id, image in coco.imgs.items():
        persons = [a for a in coco.imgToAnns[image_id] if not a.get("iscrowd")]
        if persons:
            xywh = np.array([a["bbox"] for a in persons], dtype=np.float32)
            scenes.files.append(Path(image["file_name"]).name)
            scenes.boxes.append(np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1))
            scenes.rles.append([coco.annToRLE(a) for a in persons])
    if not scenes.files:
        raise InputError(f"masks: {source}: expected persons with masks, got none")
    return scenes


def jitter_boxes(
    boxes: NDArray[np.float32], rng: np.random.Generator, share: float
) -> NDArray[np.float32]:
    """Move each side of each box as a detector might.

    Args:
        boxes: (N, 4) xyxy.
        rng: source of chance.
        share: largest move, of the box's width or height.

    Returns:
        (N, 4) float32 xyxy.
    """
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    move = np.clip(rng.normal(0, share / 2, boxes.shape), -share, share)
    moved: NDArray[np.float32] = (boxes + move * size).astype(np.float32)
    return moved


class Sample(NamedTuple):
    """One training crop, S pixels wide and high, P prompts.

    Attributes:
        pixels: (3, S, S) float32, the network's input.
        boxes: (P, 4) float32 xyxy in its pixels.
        masks: (P, S, S) float32, the share of each pixel that the prompted person covers; empty
            for a box that holds nobody.
        people: (S, S) float32, likewise for everybody in the crop.
    """

    pixels: torch.Tensor
    boxes: NDArray[np.float32]
    masks: NDArray[np.float32]
    people: NDArray[np.float32]


def sample(scenes: Scenes, i: int, size: int, prompts: int, rng: np.random.Generator) -> Sample:
    """One training crop of an image, under other light and perhaps mirrored.

    Args:
        scenes: annotated images.
        i: which image.
        size: the network's input, pixels.
        prompts: persons asked for, at most.
        rng: source of chance.

    Returns:
        The crop with its prompts; at most one of them is background.
    """
    rgb = _vary(scenes.image(i), rng)
    boxes = scenes.boxes[i]
    height, width = rgb.shape[:2]
    crops = plan_crops(boxes, height, width, size, max_crops=int(rng.integers(1, 4)))
    members = np.array(crops[rng.integers(len(crops))].members)
    chosen = rng.permutation(members)[:prompts]
    union = np.concatenate([boxes[members, :2].min(axis=0), boxes[members, 2:].max(axis=0)])
    span = np.tile(union[2:] - union[:2], 2)
    moved = union + rng.normal(0, 0.05, 4) * span
    region = square_region(moved, height, width, margin=float(rng.uniform(0.04, 0.3)))
    pixels = crop_input(rgb, region, size)
    given = jitter_boxes(boxes[chosen], rng, 0.1)
    everybody = [_cut(scenes.mask(i, person), region, size) for person in range(len(boxes))]
    masks = [everybody[person] for person in chosen]
    people = np.max(everybody, axis=0)
    if rng.random() < _BACKGROUND_SHARE * prompts:
        empty = _empty_box(boxes, region, rng)
        if empty is not None:
            given = np.concatenate([given, empty[None]])
            masks.append(np.zeros((size, size), dtype=np.float32))
    inside = boxes_in_crop(given, region, size)
    stacked = np.stack(masks)
    if rng.random() < 0.5:
        pixels = pixels.flip(2)
        stacked, people = stacked[:, :, ::-1], people[:, ::-1]
        inside[:, [0, 2]] = size - inside[:, [2, 0]]
    return Sample(pixels, inside, np.ascontiguousarray(stacked), np.ascontiguousarray(people))


def _cut(
    mask: NDArray[np.uint8], region: tuple[int, int, int, int], size: int
) -> NDArray[np.float32]:
    """The part of a mask that the crop shows, as covered shares of its pixels."""
    left, top, right, bottom = region
    part = mask[top:bottom, left:right].astype(np.float32)
    way = cv2.INTER_AREA if right - left > size else cv2.INTER_LINEAR
    resized: NDArray[np.float32] = cv2.resize(part, (size, size), interpolation=way)
    return resized


def _vary(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image under other light: gain and offset, common and per channel, through one table."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.93, 1.07, 3)
    offset = rng.uniform(-20, 20)
    levels = np.arange(256)[:, None]
    table = np.clip((levels - 128) * gain + 128 + offset, 0, 255).astype(np.uint8)
    varied: NDArray[np.uint8] = cv2.LUT(rgb, table[:, None, :])
    return varied


def _empty_box(
    boxes: NDArray[np.float32], region: tuple[int, int, int, int], rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """A person-shaped box inside the crop that touches nobody, or None after ten tries."""
    left, top, right, bottom = region
    for _ in range(10):
        height = rng.uniform(0.25, 0.8) * (bottom - top)
        width = min(rng.uniform(0.3, 1.0) * height, right - left)
        x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
        box = np.array([x, y, x + width, y + height], dtype=np.float32)
        low = np.maximum(box[:2], boxes[:, :2])
        high = np.minimum(box[2:], boxes[:, 2:])
        if not ((high - low) > 0).all(axis=1).any():
            return box
    return None
