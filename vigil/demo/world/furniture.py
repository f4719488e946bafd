"""Furniture: textured faces, chairs to sit on and circles to walk around."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.textures import Texture, draw_furniture_texture, plain

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Face:
    """A textured parallelogram: corner `origin`, edges `u` and `v` in meters, seen along -`n`."""

    origin: Floats
    u: Floats
    v: Floats
    texture: Texture
    kind: str = "furniture"

    @property
    def normal(self) -> Floats:
        """Unit normal u x v, on the visible side."""
        n = np.cross(self.u, self.v)
        return np.asarray(n / np.linalg.norm(n))


@dataclass(frozen=True)
class Seat:
    """A chair: where the sitter's pelvis goes (meters) and the way they face (radians)."""

    xy: Floats
    yaw: float


@dataclass
class Builder:
    """Collects furniture."""

    rng: np.random.Generator
    faces: list[Face] = field(default_factory=list)
    obstacles: list[tuple[float, float, float]] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)

    def box(
        self, xy: Floats, z: float, size: tuple[float, float, float], yaw: float, texture: Texture
    ) -> None:
        """Add an upright box centered at `xy`, its bottom at height `z`, sizes in meters."""
        c, s = np.cos(yaw), np.sin(yaw)
        ex, ey, ez = np.array([c, s, 0.0]), np.array([-s, c, 0.0]), np.array([0.0, 0.0, 1.0])
        half = np.array(size) / 2
        center = np.array([*xy, z + half[2]])
        for axis, (a, b) in (
            (ex, (ey, ez)),
            (-ex, (-ey, ez)),
            (ey, (-ex, ez)),
            (-ey, (ex, ez)),
            (ez, (ex, ey)),
        ):
            ia = 1 if abs(a @ ey) > 0.5 else 0
            ib = 2 if abs(b @ ez) > 0.5 else 1
            ic = 3 - ia - ib
            u, v = a * size[ia], b * size[ib]
            self.faces.append(Face(center + axis * half[ic] - u / 2 - v / 2, u, v, texture))

    def at(self, xy: Floats, yaw: float, x: float, y: float) -> Floats:
        """Return the world point of local (x, y) around a piece at `xy` turned by `yaw`."""
        c, s = np.cos(yaw), np.sin(yaw)
        return np.asarray(xy + np.array([c * x - s * y, s * x + c * y]))

    def desk(self, xy: Floats, yaw: float) -> None:
        """Add a desk, sometimes with a screen on it."""
        wide, deep, tall = self.rng.uniform(1.0, 1.7), self.rng.uniform(0.55, 0.8), 0.74
        texture, dark = draw_furniture_texture(self.rng), draw_furniture_texture(self.rng)
        self.box(xy, tall - 0.04, (deep, wide, 0.04), yaw, texture)
        for side in (-1, 1):
            edge = self.at(xy, yaw, 0, side * (wide / 2 - 0.03))
            self.box(edge, 0, (deep * 0.9, 0.04, tall - 0.04), yaw, texture)
        self.box(self.at(xy, yaw, deep * 0.35, 0), 0.3, (0.03, wide - 0.1, 0.4), yaw, texture)
        if self.rng.random() < 0.6:
            place = self.at(xy, yaw, 0.1, self.rng.uniform(-0.3, 0.3))
            self.box(place, tall, (0.04, 0.5, 0.36), yaw, dark)
        for y in (-0.3, 0.3):
            x, y = self.at(xy, yaw, 0, y * wide)
            self.obstacles.append((float(x), float(y), 0.5))

    def chair(self, xy: Floats, yaw: float) -> None:
        """Add a chair facing `yaw`."""
        texture, frame = draw_furniture_texture(self.rng), draw_furniture_texture(self.rng)
        wide = self.rng.uniform(0.42, 0.5)
        self.box(xy, 0.36, (wide, wide, 0.05), yaw, texture)
        self.box(self.at(xy, yaw, -wide / 2, 0), 0.4, (0.04, wide, 0.45), yaw, texture)
        for x in (-1, 1):
            for y in (-1, 1):
                foot = self.at(xy, yaw, x * (wide / 2 - 0.03), y * (wide / 2 - 0.03))
                self.box(foot, 0, (0.035, 0.035, 0.36), yaw, frame)
        self.seats.append(Seat(self.at(xy, yaw, -0.04, 0), yaw))
        self.obstacles.append((float(xy[0]), float(xy[1]), 0.3))

    def block(self, xy: Floats, yaw: float) -> None:
        """Add a counter, cabinet, box stack or pillar."""
        kind = self.rng.choice(["counter", "cabinet", "boxes", "pillar", "sofa", "planter"])
        texture = draw_furniture_texture(self.rng)
        sizes = {
            "counter": (0.55, 1.6, 1.05),
            "cabinet": (0.45, 0.9, 1.5),
            "pillar": (0.35, 0.35, 2.8),
            "boxes": (0.5, 0.6, 0.45),
            "sofa": (0.8, 1.6, 0.4),
            "planter": (0.4, 0.4, 0.4),
        }
        grow = self.rng.uniform(0.8, 1.2)
        deep, wide, tall = (v * grow for v in sizes[str(kind)])
        self.box(xy, 0, (deep, wide, tall), yaw, texture)
        if kind == "counter":
            top = draw_furniture_texture(self.rng)
            self.box(xy, tall, (deep + 0.1, wide + 0.1, 0.04), yaw, top)
        elif kind == "boxes":
            turn = yaw + self.rng.uniform(-0.3, 0.3)
            self.box(xy, tall, (deep * 0.8, wide * 0.7, tall * 0.8), turn, texture)
        elif kind == "sofa":
            self.box(self.at(xy, yaw, -deep / 2, 0), 0, (0.2, wide, 0.8), yaw, texture)
        elif kind == "planter":
            self._leaves(xy, tall)
        reach = max(wide - deep, 0) / 2
        for y in (-reach, 0, reach) if reach > 0.2 else (0.0,):
            px, py = self.at(xy, yaw, 0, y)
            self.obstacles.append((float(px), float(py), deep / 2 + 0.2))

    def _leaves(self, xy: Floats, tall: float) -> None:
        """Add a bush of crossed leaves."""
        green = np.array([0.15, 0.35, 0.12]) * self.rng.uniform(0.6, 1.3)
        for _ in range(14):
            texture = plain(green * self.rng.uniform(0.6, 1.3) * 255)
            turn, tilt = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.2, 1.2)
            out = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
            across = np.array([-np.sin(turn), np.cos(turn), 0.0]) * 0.1
            start = np.array([*xy, tall]) - across / 2
            length = self.rng.uniform(0.35, 0.8)
            self.faces.append(Face(start, across, out * length, texture))
            self.faces.append(Face(start, out * length, across, texture))


def furnish(builder: Builder, half: tuple[float, float]) -> None:
    """Place furniture around the free middle, without overlaps."""
    rng = builder.rng
    placed: list[tuple[Floats, float]] = []

    def spot(inner: float, outer: float, reach: float) -> Floats | None:
        for _ in range(12):
            turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(inner, outer)
            xy = np.array([np.cos(turn), np.sin(turn)]) * away
            xy = np.clip(xy, [-half[0] + 0.6, -half[1] + 0.6], [half[0] - 0.6, half[1] - 0.6])
            if all(np.linalg.norm(xy - p) > reach + r for p, r in placed):
                placed.append((xy, reach))
                return xy
        return None

    for _ in range(rng.integers(1, 3)):
        xy = spot(0.9, 2.2, 0.5)
        if xy is not None:
            builder.chair(xy, float(np.arctan2(-xy[1], -xy[0]) + rng.uniform(-0.8, 0.8)))
    for _ in range(rng.integers(1, 4)):
        xy = spot(1.7, 3.4, 0.9)
        if xy is not None:
            builder.desk(xy, float(rng.uniform(0, 2 * np.pi)))
    for _ in range(rng.integers(1, 5)):
        xy = spot(1.6, 4.5, 0.8)
        if xy is not None:
            builder.block(xy, float(rng.uniform(0, 2 * np.pi)))
