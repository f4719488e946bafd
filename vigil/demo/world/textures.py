"""Procedural textures for floors, walls and furniture."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[Any]

SIDE = 128


@dataclass(frozen=True)
class Texture:
    """A tile (h, w, 3) uint8 RGB, repeated every `meters`."""

    tile: Image
    meters: float

    def warp(self, to_plane: Floats, u: Floats, v: Floats, size: tuple[int, int]) -> Image:
        """Sample the tile for each pixel of a (w, h) crop.

        `to_plane` maps crop pixels to face coordinates in [0, 1] along the edges `u` and `v`.
        """
        h, w = self.tile.shape[:2]
        tiles = np.diag(
            [np.linalg.norm(u) * w / self.meters, np.linalg.norm(v) * h / self.meters, 1]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpPerspective(
                self.tile, tiles @ to_plane, size, flags=flags, borderMode=cv2.BORDER_WRAP
            )
        )


@lru_cache(maxsize=16)
def _noise(index: int) -> Image:
    """Return one of a few (SIDE, SIDE) tileable noises with zero mean and about unit deviation."""
    rng = np.random.default_rng([7, index])
    total = np.zeros((SIDE, SIDE), np.float32)
    for size, weight in ((4, 1.0), (12, 0.7), (48, 0.5), (SIDE, 0.5)):
        grid = rng.normal(size=(size, size)).astype(np.float32)
        wide = cv2.resize(
            np.tile(grid, (3, 3)), (3 * SIDE, 3 * SIDE), interpolation=cv2.INTER_CUBIC
        )
        total += weight * wide[SIDE : 2 * SIDE, SIDE : 2 * SIDE]
    return np.asarray(total / total.std())


def _grain(rng: np.random.Generator) -> Image:
    """Return a random noise from the bank, shifted."""
    noise = np.roll(_noise(int(rng.integers(16))), int(rng.integers(SIDE)), axis=0)
    return noise.T if rng.random() < 0.5 else noise


def _tint(rng: np.random.Generator, low: float, high: float, saturation: float) -> Floats:
    """Draw a color in 8-bit levels."""
    value = rng.uniform(low, high)
    color = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, saturation), value)
    return np.asarray(color, np.float64) * 255


def _mix(base: Floats, pattern: Image, other: Floats, grain: Image, amount: float) -> Image:
    """Blend two colors by a pattern in [0, 1] and add grain."""
    weight = np.float32(1) + np.float32(amount) * grain
    other_part = pattern * weight
    tile = np.empty((*grain.shape, 3), np.uint8)
    for k in range(3):
        plane = np.float32(base[k]) * weight + np.float32(other[k] - base[k]) * other_part
        tile[..., k] = cv2.convertScaleAbs(plane)
    return tile


def _joints(columns: int, rows: int, thick: int, shift: bool) -> Image:
    """Return (SIDE, SIDE) with 1 on the joints of a tiling."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    row = y * rows // SIDE
    x = x + (row % 2) * (SIDE // columns // 2) if shift else x
    return np.asarray((x % (SIDE // columns) < thick) | (y % (SIDE // rows) < thick), np.float32)


def _checks(columns: int) -> Image:
    """Return (SIDE, SIDE) of a checkerboard of 0 and 1."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] * columns // SIDE
    return np.asarray((x + y) % 2, np.float32)


def plain(color: Floats) -> Texture:
    """Return a texture of one (3,) color in 8-bit levels."""
    return Texture(np.clip(np.broadcast_to(color, (2, 2, 3)), 0, 255).astype(np.uint8), 1.0)


def draw_floor_texture(rng: np.random.Generator) -> Texture:
    """Draw tiles, checks, planks, carpet or concrete."""
    base = _tint(rng, 0.25, 0.8, 0.3)
    kind = rng.choice(["tiles", "checks", "planks", "carpet", "concrete", "paving"])
    grain = _grain(rng)
    if kind == "tiles":
        tile = _mix(base, _joints(4, 4, 3, False), base * rng.uniform(0.5, 1.25), grain, 0.06)
        return Texture(tile, rng.uniform(1.6, 3.2))
    if kind == "checks":
        tile = _mix(base, _checks(4), base * rng.uniform(0.6, 0.9), grain, 0.05)
        return Texture(tile, rng.uniform(1.6, 3.0))
    if kind == "planks":
        wood = np.array([150, 105, 65]) * rng.uniform(0.5, 1.3)
        streaks = cv2.resize(grain[:, : SIDE // 8], (SIDE, SIDE))
        return Texture(_mix(wood, _joints(1, 8, 2, False), wood * 0.5, streaks, 0.14), 1.6)
    if kind == "paving":
        tile = _mix(base, _joints(4, 8, 3, True), base * 0.65, grain, 0.14)
        return Texture(tile, rng.uniform(1.2, 2.0))
    amount = 0.12 if kind == "carpet" else 0.2
    return Texture(_mix(base, np.clip(grain, 0, 1) * 0.3, base * 0.7, _grain(rng), amount), 3.0)


def draw_wall_texture(rng: np.random.Generator) -> Texture:
    """Draw paint, brick, panels, wallpaper or shutters."""
    base = _tint(rng, 0.35, 0.9, 0.3)
    kind = rng.choice(["paint", "brick", "panels", "wallpaper", "shutter"])
    grain = _grain(rng)
    if kind == "brick":
        brick = np.array([150, 85, 65]) * rng.uniform(0.6, 1.3) * rng.uniform(0.85, 1.15, 3)
        return Texture(_mix(brick, _joints(3, 8, 3, True), brick * 0.6 + 70, grain, 0.13), 0.8)
    if kind == "panels":
        return Texture(_mix(base, _joints(2, 1, 2, False), base * 0.6, grain, 0.05), 2.0)
    if kind == "wallpaper":
        x = np.mgrid[0:SIDE, 0:SIDE][1]
        stripes = (x * 8 // SIDE % 2).astype(np.float32)
        return Texture(_mix(base, stripes, base * rng.uniform(0.7, 0.95), grain, 0.04), 1.2)
    if kind == "shutter":
        return Texture(_mix(base, _joints(1, 12, 3, False), base * 0.7, grain, 0.04), 1.5)
    return Texture(_mix(base, np.clip(grain, 0, 1) * 0.2, base * 0.75, _grain(rng), 0.05), 4.0)


def draw_furniture_texture(rng: np.random.Generator) -> Texture:
    """Draw wood, cardboard, paint, cloth or a printed sign."""
    kind = rng.choice(
        ["wood", "cardboard", "paint", "cloth", "sign"], p=[0.3, 0.1, 0.3, 0.15, 0.15]
    )
    grain = _grain(rng)
    if kind == "wood":
        wood = np.array([165, 120, 75]) * rng.uniform(0.35, 1.3)
        streaks = cv2.resize(grain[:, : SIDE // 8], (SIDE, SIDE))
        return Texture(_mix(wood, np.zeros((SIDE, SIDE), np.float32), wood, streaks, 0.13), 1.0)
    if kind == "cardboard":
        base = np.array([185, 150, 105]) * rng.uniform(0.8, 1.1)
        return Texture(_mix(base, _joints(1, 1, 8, False), base * 0.75, grain, 0.05), 0.8)
    base = _tint(rng, 0.1, 0.95, 0.7)
    if kind == "cloth":
        return Texture(_mix(base, _checks(16), base * 0.85, grain, 0.08), 0.5)
    if kind == "sign":
        blocks = cv2.resize(
            (grain[::21, ::11] > 0.3).astype(np.float32),
            (SIDE, SIDE),
            interpolation=cv2.INTER_NEAREST,
        )
        return Texture(_mix(base, blocks, _tint(rng, 0.1, 0.95, 0.8), grain, 0.03), 1.2)
    return Texture(_mix(base, np.zeros((SIDE, SIDE), np.float32), base, grain, 0.04), 1.5)
