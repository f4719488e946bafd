"""Clothes, skin and hair: colors of a body's surface."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SKINS = (
    (0.93, 0.75, 0.64),
    (0.86, 0.66, 0.53),
    (0.76, 0.56, 0.42),
    (0.58, 0.4, 0.29),
    (0.4, 0.27, 0.2),
    (0.3, 0.2, 0.15),
)
HAIRS = (
    (0.06, 0.05, 0.05),
    (0.12, 0.08, 0.06),
    (0.25, 0.15, 0.09),
    (0.5, 0.36, 0.2),
    (0.62, 0.6, 0.58),
    (0.35, 0.14, 0.08),
)


@dataclass(frozen=True)
class Outfit:
    """Looks of a person; colors are (3,) RGB reflectances in [0, 1]."""

    skin: Floats
    hair: Floats
    hairstyle: str
    shirt: Floats
    accent: Floats
    trousers: Floats
    shoes: Floats
    pattern: str
    sleeves: float
    trouser_length: float
    skirt: bool
    hem: float
    belly: float
    loose: float
    wide: float
    jitter: Floats

    def _cloth(self, centers: Floats, scale: float) -> Floats:
        """Return (..., 3) shirt colors with the pattern at (..., 3) quad centers in meters."""
        x, y, z = np.moveaxis(centers, -1, 0)
        if self.pattern == "stripes":
            on = np.floor(z / (0.09 * scale)) % 2 == 0
        elif self.pattern == "pinstripes":
            on = np.floor(np.arctan2(y, x) / (np.pi / 8)) % 2 == 0
        elif self.pattern == "plaid":
            on = (np.floor(z / (0.11 * scale)) + np.floor(np.arctan2(y, x) / (np.pi / 5))) % 2 == 0
        elif self.pattern == "print":
            on = (x > 0) & (np.abs(y) < 0.09) & (z > 1.08 * scale) & (z < 1.3 * scale)
        elif self.pattern == "open":
            on = (x > 0) & (np.abs(y) < 0.06)
        elif self.pattern == "vest":
            on = (np.abs(z - 1.22 * scale) < 0.035) | (np.abs(z - 1.05 * scale) < 0.035)
        else:
            on = np.zeros(z.shape, bool)
        return np.asarray(np.where(on[..., None], self.accent, self.shirt))

    def _grain(self, colors: Floats) -> Floats:
        """Add a fixed grain so that folds of cloth are not flat."""
        n = colors.size // 3
        grain = np.resize(self.jitter, n).reshape(colors.shape[:-1])
        return np.asarray(np.clip(colors * (1 + grain[..., None]), 0, 1))

    def trunk(self, centers: Floats, height: float) -> Floats:
        """Color the trunk's (..., 3) quad centers: shirt above the hem, trousers below."""
        shirt = self._cloth(centers, height / 1.7)
        below = centers[..., 2] < self.hem * height
        colors = np.where(below[..., None], self.trousers, shirt)
        belt = np.abs(centers[..., 2] - self.hem * height) < 0.018 * height
        colors = np.where((belt & (self.hem > 0.55))[..., None], self.shoes * 0.7, colors)
        collar = (centers[..., 2] > 0.838 * height)[..., None]
        return self._grain(np.where(collar, self.skin, colors))

    def sleeve(self, centers: Floats, low: float, top: float) -> Floats:
        """Color an arm from wrist height `low` to shoulder height `top`."""
        u = (top - centers[..., 2]) / (top - low)
        shirt = self._cloth(centers * np.array([1, 1, 1]), top / 1.37)
        if self.pattern in ("print", "open", "vest"):
            shirt = np.broadcast_to(self.shirt, shirt.shape)
        return self._grain(np.where((u < self.sleeves)[..., None], shirt, self.skin))

    def leg(self, centers: Floats, low: float, top: float) -> Floats:
        """Color a leg from ankle height `low` to hip height `top`."""
        u = (top - centers[..., 2]) / (top - low)
        cover = 0.45 if self.skirt else self.trouser_length
        return self._grain(np.where((u < cover)[..., None], self.trousers, self.skin))

    def shoe(self, centers: Floats) -> Floats:
        """Color a shoe with a contrasting sole."""
        sole = centers[..., 2] < 0.012
        pale = np.clip(self.shoes * 0.5 + 0.3, 0, 1)
        return np.asarray(np.where(sole[..., None], pale, self.shoes))

    def head(self, centers: Floats, mid: float, size: float) -> Floats:
        """Color the head: hair on top and behind, face in front."""
        x, _, z = np.moveaxis(centers - np.array([0.012, 0, mid]), -1, 0) / size
        line = 0.066 if self.hairstyle != "cap" else 0.05
        front = (x > -0.002) & (z < line)
        nape = (z < -0.055) if self.hairstyle != "long" else np.zeros(z.shape, bool)
        bare = self.hairstyle == "bald"
        face = front | nape | bare
        return np.asarray(np.where(face[..., None], self.skin, self.hair))


def _color(rng: np.random.Generator) -> Floats:
    """Draw a clothing color: greys and denims as often as bright ones."""
    kind = rng.random()
    if kind < 0.3:
        return np.asarray(rng.uniform(0.08, 0.85) * rng.uniform(0.95, 1.05, 3))
    if kind < 0.45:
        return np.asarray(np.array([0.17, 0.24, 0.38]) * rng.uniform(0.6, 1.5))
    hue, saturation = rng.random(), rng.uniform(0.25, 0.85)
    color = colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.2, 0.9))
    return np.asarray(color, np.float64)


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw skin, hair and clothes."""
    patterns = ["plain", "stripes", "pinstripes", "plaid", "print", "open", "vest"]
    styles = ["short", "long", "bald", "bun", "cap"]
    style = str(rng.choice(styles, p=[0.5, 0.2, 0.07, 0.08, 0.15]))
    hair = np.array(HAIRS[rng.choice(len(HAIRS), p=[0.35, 0.25, 0.15, 0.1, 0.1, 0.05])])
    skirt = style in ("long", "bun") and rng.random() < 0.4
    shorts = rng.random() < 0.15
    return Outfit(
        skin=np.clip(np.array(SKINS[rng.integers(len(SKINS))]) * rng.uniform(0.92, 1.08), 0, 1),
        hair=_color(rng) if style == "cap" else hair,
        hairstyle=style,
        shirt=_color(rng),
        accent=_color(rng),
        trousers=_color(rng) * 0.85,
        shoes=np.array([0.85] * 3) if rng.random() < 0.25 else _color(rng) * 0.5,
        pattern=str(rng.choice(patterns, p=[0.36, 0.13, 0.08, 0.1, 0.13, 0.12, 0.08])),
        sleeves=float(rng.choice([0.0, 0.4, 0.95, 1.1], p=[0.05, 0.35, 0.3, 0.3])),
        trouser_length=0.55 if shorts else 1.1,
        skirt=bool(skirt),
        hem=float(rng.uniform(0.5, 0.59)),
        belly=float(rng.uniform(0.95, 1.2)),
        loose=float(rng.uniform(0, 1)),
        wide=float(rng.uniform(0, 1)),
        jitter=rng.normal(0, 0.045, 997),
    )
