"""Perspective cameras. The world is in meters, z up; images are in pixels, y down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: (3,) meters.
        axes: (3, 3) rows right, down, forward, orthonormal, in world coordinates.
        focal: focal length in pixels.
        width: image width in pixels.
        height: image height in pixels.
    """

    position: Floats
    axes: Floats
    focal: float
    width: int
    height: int

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Project (..., 3) world points to (..., 2) pixels and (...) depths in meters.

        Points behind the camera get a negative depth; their pixels mean nothing.
        """
        local = (points - self.position) @ self.axes.T
        depth = local[..., 2]
        safe = np.where(np.abs(depth) < 1e-3, 1e-3, depth)[..., None]
        center = np.array([self.width / 2, self.height / 2])
        return local[..., :2] / safe * self.focal + center, depth

    def ground(self, u: float, v: float) -> Floats | None:
        """Return the (2,) floor point in meters seen at pixel (u, v), or None above the horizon."""
        ray = np.array([(u - self.width / 2), (v - self.height / 2), self.focal]) @ self.axes
        if ray[2] > -1e-3:
            return None
        return np.asarray((self.position - ray / ray[2] * self.position[2])[:2])

    def sees(self, xy: Floats, margin: float) -> bool:
        """Whether a person standing at `xy` meters is within `margin` pixels of the image."""
        uv, depth = self.project(np.array([[*xy, 0.0], [*xy, 0.9], [*xy, 1.75]]))
        inside = (
            (depth > 0.2)
            & (uv[:, 0] > -margin)
            & (uv[:, 0] < self.width + margin)
            & (uv[:, 1] > -margin)
            & (uv[:, 1] < self.height + margin)
        )
        return bool(inside.any())


def look_at(position: Floats, target: Floats, focal: float, size: tuple[int, int]) -> Camera:
    """Build a level camera at `position` whose image center shows `target` (both (3,) meters)."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    return Camera(position, axes, focal, *size)


def draw_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Draw a CCTV viewpoint: 2.2 to 4 m high, people about 110 to 220 pixels tall in 360."""
    azimuth = rng.uniform(0, 2 * np.pi)
    distance, height = rng.uniform(4.2, 7.0), rng.uniform(2.2, 4.0)
    position = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
    target = np.array([*rng.uniform(-0.4, 0.4, 2), rng.uniform(0.75, 1.05)])
    pitch = np.arctan2(height - target[2], distance)
    tall = rng.uniform(125, 185) * size[1] / 360
    focal = tall * np.hypot(distance, height - target[2]) / (1.7 * np.cos(pitch))
    return look_at(position, target, float(focal), size)
