"""Rooms: floor, walls, doors, furniture and lamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.furniture import Builder, Face, Seat, furnish
from vigil.demo.world.render import Light
from vigil.demo.world.textures import (
    draw_floor_texture,
    draw_furniture_texture,
    draw_wall_texture,
    plain,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Room:
    """A room's geometry and looks.

    Attributes:
        half: half extents along x and y in meters.
        faces: everything drawn.
        obstacles: (K, 3) circles x, y, radius that people walk around, meters.
        seats: chairs.
        doors: (D, 4) x, y of the opening and of a point behind it, meters.
        light: main light.
        lamps: (L, 3) positions of pools of light, meters.
        lamp_gain: how strong the pools are.
        infrared: night look.
        cast: (3,) color cast.
        noise: sensor noise in 8-bit levels.
        exposure_s: shutter time in seconds.
        brightness: mean 8-bit level the camera's automatic exposure aims at.
    """

    half: tuple[float, float]
    faces: list[Face]
    obstacles: Floats
    seats: list[Seat]
    doors: Floats
    light: Light
    lamps: Floats
    lamp_gain: float
    infrared: bool
    cast: Floats
    noise: float
    exposure_s: float
    brightness: float

    def gain(self, xy: Floats) -> Any:
        """Return the light falling at (..., 2) floor points, about 1."""
        offset = xy[..., None, :] - self.lamps[:, :2]
        pools = np.exp(-(offset**2).sum(axis=-1) / 5.0).sum(axis=-1)
        return (1 - self.lamp_gain) + self.lamp_gain * 1.25 * np.minimum(pools, 1.4)


def _walls(rng: np.random.Generator, half: tuple[float, float]) -> tuple[list[Face], Floats]:
    """Return floor, walls with doors and things hung on them, and the door positions."""
    hx, hy = half
    tall = rng.uniform(2.7, 4.0)
    up = np.array([0.0, 0.0, tall])
    corners = [
        np.array(c) for c in ((-hx, -hy, 0.0), (hx, -hy, 0.0), (hx, hy, 0.0), (-hx, hy, 0.0))
    ]
    faces = [
        Face(
            corners[0],
            corners[1] - corners[0],
            corners[3] - corners[0],
            draw_floor_texture(rng),
            "floor",
        )
    ]
    doors = []
    texture = draw_wall_texture(rng)
    for i in range(4):
        start, end = corners[i], corners[(i + 1) % 4]
        along = end - start
        length = float(np.linalg.norm(along))
        unit = along / length
        inward = np.array([-unit[1], unit[0], 0.0])
        other = draw_wall_texture(rng) if rng.random() < 0.3 else texture
        faces.append(Face(end, -along, up, other, "wall"))
        place = rng.uniform(0.15, 0.85) * length
        if rng.random() < 0.6:
            faces += _door(rng, start + unit * place, unit, inward)
            point = start + unit * place
            doors.append([*(point + inward * 0.5)[:2], *(point - inward * 1.1)[:2]])
        for _ in range(rng.integers(0, 4)):
            spot = start + unit * rng.uniform(0.1, 0.9) * length + inward * 0.02
            if abs(float((spot - start) @ unit) - place) > 1.4:
                wide, high = rng.uniform(0.4, 1.3), rng.uniform(0.4, 1.0)
                base = spot + np.array([0, 0, rng.uniform(1.0, 1.5)])
                faces.append(
                    Face(
                        base + unit * wide / 2,
                        -unit * wide,
                        np.array([0, 0, high]),
                        draw_furniture_texture(rng),
                        "decor",
                    )
                )
    return faces, np.array(doors).reshape(-1, 4)


def _door(rng: np.random.Generator, point: Floats, unit: Floats, inward: Floats) -> list[Face]:
    """Return a doorway: a dark passage 1.6 m deep behind an opening and its frame."""
    wide, high = rng.uniform(0.95, 1.3), rng.uniform(2.05, 2.3)
    shade = rng.uniform(0.05, 0.3)
    dark = plain(shade * 255 * rng.uniform(0.85, 1.0, 3))
    rim = draw_furniture_texture(rng)
    base = point + inward * 0.015
    faces = [Face(base + unit * wide / 2, -unit * wide, np.array([0, 0, high]), dark, "opening")]
    up = np.array([0.0, 0.0, 1.0])
    for side in (-1, 1):
        left = base + inward * 0.01 + unit * (side * (wide / 2 + 0.04) + 0.04)
        faces.append(Face(left, -unit * 0.08, up * (high + 0.08), rim, "decor"))
    top = base + inward * 0.01 + unit * wide / 2 + up * high
    faces.append(Face(top, -unit * wide, up * 0.08, rim, "decor"))
    return faces


def draw_room(rng: np.random.Generator) -> Room:
    """Draw a room whose middle is free for people."""
    half = (float(rng.uniform(3.6, 5.5)), float(rng.uniform(3.6, 5.5)))
    faces, doors = _walls(rng, half)
    builder = Builder(rng)
    furnish(builder, half)
    turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.3)
    direction = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
    infrared = bool(rng.random() < 0.22)
    dim = rng.random() < 0.2
    ambient = rng.uniform(0.35, 0.6) * (0.6 if dim else 1.0)
    light = Light(direction, rng.uniform(0.4, 0.75) * (0.6 if dim else 1.0), ambient)
    lamps = np.column_stack(
        [rng.uniform(-half[0], half[0], 5), rng.uniform(-half[1], half[1], 5), np.full(5, 3.0)]
    )
    cast = 1 + rng.normal(0, 0.06, 3) * (rng.random() < 0.6)
    noise = rng.uniform(3.5, 8.0) if infrared or dim else rng.uniform(1.2, 4.0)
    obstacles = np.array(builder.obstacles).reshape(-1, 3)
    return Room(
        half,
        faces + builder.faces,
        obstacles,
        builder.seats,
        doors,
        light,
        lamps,
        float(rng.uniform(0.1, 0.55)),
        infrared,
        cast,
        float(noise),
        float(rng.uniform(0.015, 0.045)),
        float(rng.uniform(45, 75) if dim else rng.uniform(75, 130)),
    )
