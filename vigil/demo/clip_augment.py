"""Crops mirrored, moved, scaled and relit for the training of the demo's CLIP, and their joints.

Knows: pixels and joints. Does not know: sentences or losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vigil.demo.captions import KINDS
from vigil.models.layouts import layout
from vigil.perception import clip_network

_MIRROR: Final = list(layout("coco").mirror)


@dataclass(frozen=True)
class Motion:
    """How far crops are changed.

    Attributes:
        zoom: largest change of scale.
        shift: largest shift, in crop sides.
        light: largest change of brightness and contrast.
    """

    zoom: float = 0.15
    shift: float = 0.08
    light: float = 0.25


def motions(count: int, how: Motion, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw how crops are mirrored, moved and scaled: (N, 2, 3), from new places to old ones."""
    zoom = rng.uniform(1 - how.zoom, 1 + how.zoom, count)
    flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    theta = np.zeros((count, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * flip, zoom
    theta[:, :, 2] = rng.uniform(-2 * how.shift, 2 * how.shift, (count, 2))
    return theta


def augment(
    crops: Tensor, theta: NDArray[np.float32], how: Motion, rng: np.random.Generator
) -> Tensor:
    """Move and relight crops, and bring them to the network's side.

    Args:
        crops: (B, 3, S, S) float32, 0 to 255.
        theta: (B, 2, 3), see `motions`.
        how: how far.
        rng: source of chance.
    """
    count = len(crops)
    side = clip_network.DEMO["vision_cfg"]["image_size"]
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(theta), [count, 3, side, side], align_corners=False
    )
    moved = torch.nn.functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)
    gain, lift = rng.uniform(-how.light, how.light, (2, count, 1, 1, 1)).astype(np.float32)
    lit = moved * torch.from_numpy(1 + gain) + torch.from_numpy(lift) * 80
    return lit.clamp(0, 255)


def inputs(
    crops: NDArray[np.uint8], theta: NDArray[np.float32], how: Motion, rng: np.random.Generator
) -> Tensor:
    """Return (B, 3, S, S) float32 crops moved, relit and normalized as the network sees them.

    Args:
        crops: (B, S, S, 3) uint8.
        theta: (B, 2, 3), see `motions`.
        how: how far.
        rng: source of chance.
    """
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    mean = torch.tensor(clip_network.MEAN).reshape(1, 3, 1, 1) * 255
    deviation = torch.tensor(clip_network.STD).reshape(1, 3, 1, 1) * 255
    seen = (augment(pixels, theta, how, rng) - mean) / deviation
    return seen.contiguous(memory_format=torch.channels_last)


def move(
    joints: NDArray[Any], visible: NDArray[Any], theta: NDArray[np.float32], kind: NDArray[Any]
) -> tuple[Tensor, Tensor]:
    """Move joints as their crops are moved.

    Args:
        joints: (B, 2, 17, 2), -1 to 1 across the crop.
        visible: (B, 2, 17).
        theta: (B, 2, 3) of `torch.nn.functional.affine_grid`: from new places to old ones.
        kind: (B,) numbers of KINDS: in a mirrored pair the left person becomes the right one.

    Returns:
        Both anew, float32; what has left the crop is not visible.
    """
    scale = np.stack([theta[:, 0, 0], theta[:, 1, 1]], axis=1)
    moved = (joints.astype(np.float32) - theta[:, None, None, :, 2]) / scale[:, None, None]
    seen = visible.astype(np.float32)
    flipped = np.flatnonzero(theta[:, 0, 0] < 0)
    moved[flipped] = moved[flipped][:, :, _MIRROR]
    seen[flipped] = seen[flipped][:, :, _MIRROR]
    pairs = flipped[kind[flipped] == KINDS.index("pair")]
    moved[pairs], seen[pairs] = moved[pairs][:, ::-1], seen[pairs][:, ::-1]
    seen *= (np.abs(moved) < 1).all(-1)
    return torch.from_numpy(moved), torch.from_numpy(seen)
