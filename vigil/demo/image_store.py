"""Annotated images in a device's memory, and random views of them, made there.

On a GPU this is what keeps a small network busy: a batch of views costs a few milliseconds there
and half a second on one core. All places are continuous: pixel i covers i to i + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vigil.demo.drawing import Shard
from vigil.demo.pose_data import FLIPPED
from vigil.perception.rtmo import PAD_VALUE

MOST_PERSONS: Final = 12  # of an image; further ones are left out
_LEAST_AREA_LEFT: Final = 0.3  # of a person's box inside the view, to still be a person
_NOISE: Final = 6.0  # greatest deviation of noise, of 255


@dataclass(frozen=True)
class Targets:
    """The persons of a batch, in pixels of the views; P slots each, of which `there` are used.

    Attributes:
        boxes: (B, P, 4) float32 xyxy, cut at the edge.
        keypoints: (B, P, 17, 2) float32.
        visible: (B, P, 17) float32, see `Persons`; 0 outside the view.
        areas: (B, P) float32, square pixels.
        there: (B, P) bool.
    """

    boxes: Tensor
    keypoints: Tensor
    visible: Tensor
    areas: Tensor
    there: Tensor


@dataclass(frozen=True)
class View:
    """How images are looked at.

    Attributes:
        size: width and height of the view in pixels.
        zoom: least and greatest magnification, 1 being "the whole image just fits".
        focus: chance that a person is brought near the middle.
        anchor: where the image lies in the room left over, 0 to 1 in x and y; None: anywhere.
        gray: chance of no color.
        soft: chance of a softer picture, and again of a noisy one.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.75, 1.5)
    focus: float = 0.6
    anchor: tuple[float, float] | None = None
    gray: float = 0.08
    soft: float = 0.2


class ImageStore:
    """The newest images of a stream, as many as fit."""

    def __init__(self, capacity: int, size: tuple[int, int], device: torch.device) -> None:
        """Take the memory.

        Args:
            capacity: images.
            size: their width and height in pixels.
            device: where they are kept.
        """
        self.width, self.height = size
        self.device = device
        kept = (capacity, MOST_PERSONS)
        self.images = torch.empty(
            capacity, self.height, self.width, 3, dtype=torch.uint8, device=device
        )
        self.persons = Targets(
            torch.zeros(*kept, 4, device=device), torch.zeros(*kept, 17, 2, device=device),
            torch.zeros(*kept, 17, device=device), torch.ones(*kept, device=device),
            torch.zeros(*kept, dtype=torch.bool, device=device),
        )  # fmt: skip
        self.count = self.seen = self._next = 0

    def add(self, shard: Shard) -> None:
        """Keep the images of a shard, in the place of the oldest where it is full."""
        rows = (self._next + np.arange(len(shard.images))) % len(self.images)
        at = torch.from_numpy(rows).to(self.device)
        self.images[at] = torch.from_numpy(shard.images).to(self.device)
        padded = _padded(shard)
        for name, values in padded.items():
            getattr(self.persons, name)[at] = torch.from_numpy(values).to(self.device)
        self._next = int(rows[-1] + 1) % len(self.images)
        self.seen += len(rows)
        self.count = min(self.seen, len(self.images))

    def draw(self, batch: int, view: View, random: torch.Generator) -> tuple[Tensor, Targets]:
        """Return views of a random `batch` of images; see `look`."""
        rows = torch.randint(0, self.count, (batch,), device=self.device, generator=random)
        return self.look(rows, view, random)

    def look(self, rows: Tensor, view: View, random: torch.Generator) -> tuple[Tensor, Targets]:
        """Zoom, shift, mirror and recolor images.

        Args:
            rows: (B,) which images.
            view: how to look.
            random: of the store's device.

        Returns:
            (B, 3, height, width) float32 BGR, whole numbers from 0 to 255; and who is seen.
        """
        placed = self._place(rows, view, random)
        images = _recolor(self._sample(rows, placed, view), view, random)
        return images, self._move(rows, placed, view)

    def _place(self, rows: Tensor, view: View, random: torch.Generator) -> _Placed:
        """Choose where each image lies in its view."""
        size = rows.new_tensor(view.size, dtype=torch.float32)
        full = rows.new_tensor((self.width, self.height), dtype=torch.float32)
        fits = min(view.size[0] / self.width, view.size[1] / self.height)
        low, high = (math.log(value) for value in view.zoom)
        scale = fits * _uniform(random, len(rows), low, high).exp()
        slack = size - full * scale[:, None]
        if view.anchor is None:
            shift = slack * _uniform(random, len(rows), -0.05, 1.05, 2)
        else:
            shift = slack * rows.new_tensor(view.anchor, dtype=torch.float32)
        there = self.persons.there[rows]
        chosen = torch.multinomial(there.float() + 1e-6, 1, generator=random)[:, 0]
        box = self.persons.boxes[rows, chosen]
        aim = size * _uniform(random, len(rows), 0.3, 0.7, 2)
        centered = aim - scale[:, None] * (box[:, :2] + box[:, 2:]) / 2
        use = (_uniform(random, len(rows), 0, 1) < view.focus) & there.any(dim=1)
        shift = torch.where(use[:, None], centered, shift)
        mirrored = _uniform(random, len(rows), 0, 1) < 0.5
        factor = torch.stack([torch.where(mirrored, -scale, scale), scale], dim=-1)
        offset = torch.stack(
            [torch.where(mirrored, size[0] - shift[:, 0], shift[:, 0]), shift[:, 1]], dim=-1
        )
        return _Placed(factor, offset, mirrored)

    def _sample(self, rows: Tensor, placed: _Placed, view: View) -> Tensor:
        """Return (B, 3, height, width) float32 views, gray where no image is."""
        full = (self.width, self.height)
        axes = []
        for axis, (length, whole) in enumerate(zip(view.size, full, strict=True)):
            middle = torch.arange(length, device=self.device) + 0.5
            source = (middle[None] - placed.offset[:, axis, None]) / placed.factor[:, axis, None]
            axes.append(source * (2 / whole) - 1)
        shape = (len(rows), view.size[1], view.size[0])
        grid = torch.stack([axes[0][:, None].expand(shape), axes[1][..., None].expand(shape)], -1)
        images = self.images[rows].permute(0, 3, 1, 2).float() - PAD_VALUE
        return functional.grid_sample(images, grid, align_corners=False) + PAD_VALUE

    def _move(self, rows: Tensor, placed: _Placed, view: View) -> Targets:
        """Carry the persons along; who is mostly outside is not there."""
        known = self.persons
        factor, offset = placed.factor[:, None], placed.offset[:, None]
        limit = factor.new_tensor(view.size)
        one = known.boxes[rows][..., :2] * factor + offset
        two = known.boxes[rows][..., 2:] * factor + offset
        low, high = torch.minimum(one, two), torch.maximum(one, two)
        cut_low, cut_high = low.clamp(min=0).minimum(limit), high.clamp(min=0).minimum(limit)
        left = (cut_high - cut_low).prod(dim=-1) / (high - low).prod(dim=-1).clamp(min=1e-6)
        joints = known.keypoints[rows] * factor[:, :, None] + offset[:, :, None]
        visible = known.visible[rows] * ((joints >= 0) & (joints < limit)).all(dim=-1)
        swap = torch.as_tensor(FLIPPED, device=self.device)
        mirrored = placed.mirrored[:, None, None]
        return Targets(
            torch.cat([cut_low, cut_high], dim=-1),
            torch.where(mirrored[..., None], joints[:, :, swap], joints),
            torch.where(mirrored, visible[:, :, swap], visible),
            known.areas[rows] * placed.factor[:, 1, None] ** 2,
            known.there[rows] & (left >= _LEAST_AREA_LEFT),
        )


@dataclass(frozen=True)
class _Placed:
    """Where images lie in their views: x' = factor * x + offset.

    Attributes:
        factor: (B, 2), below 0 in x where mirrored.
        offset: (B, 2) pixels of the view.
        mirrored: (B,) bool.
    """

    factor: Tensor
    offset: Tensor
    mirrored: Tensor


def _padded(shard: Shard) -> dict[str, NDArray[Any]]:
    """Return a shard's persons in slots, by the names of `Targets`."""
    count = len(shard.persons)
    values = {
        "boxes": np.zeros((count, MOST_PERSONS, 4), np.float32),
        "keypoints": np.zeros((count, MOST_PERSONS, 17, 2), np.float32),
        "visible": np.zeros((count, MOST_PERSONS, 17), np.float32),
        "areas": np.ones((count, MOST_PERSONS), np.float32),
    }
    there = np.zeros((count, MOST_PERSONS), bool)
    for row, persons in enumerate(shard.persons):
        held = min(len(persons.boxes), MOST_PERSONS)
        there[row, :held] = True
        for name, array in values.items():
            array[row, :held] = getattr(persons, name)[:held]
    return {**values, "there": there}


def _uniform(random: torch.Generator, count: int, low: float, high: float, *more: int) -> Tensor:
    """Return (count, *more) float32 between two numbers."""
    drawn = torch.rand(count, *more, device=random.device, generator=random)
    return drawn * (high - low) + low


def _recolor(images: Tensor, view: View, random: torch.Generator) -> Tensor:
    """Change brightness, contrast and tint; make some gray, some soft, some noisy."""
    count = len(images)
    gain = _uniform(random, count, 0.65, 1.35)[:, None] * _uniform(random, count, 0.92, 1.08, 3)
    offset = _uniform(random, count, -25, 25)[:, None, None, None]
    images = images * gain[:, :, None, None] + offset
    colorless = images.mean(dim=1, keepdim=True).expand_as(images)
    images = torch.where(_chance(random, count, view.gray), colorless, images)
    if view.soft:
        half = functional.avg_pool2d(images, 2)
        blurred = functional.interpolate(half, size=images.shape[2:], mode="bilinear")
        amount = _uniform(random, count, 0.3, 1.0)[:, None, None, None]
        images = images + (blurred - images) * amount * _chance(random, count, view.soft)
        noise = torch.randn(images.shape, device=images.device, generator=random)
        deviation = _uniform(random, count, 0, _NOISE)[:, None, None, None]
        images = images + noise * deviation * _chance(random, count, view.soft)
    return images.clamp(0, 255).round()


def _chance(random: torch.Generator, count: int, share: float) -> Tensor:
    """Return (count, 1, 1, 1) bool, true with the chance `share`."""
    return (_uniform(random, count, 0, 1) < share)[:, None, None, None]
