"""Neck, head, hair and face of a body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.clothes import Outfit
from vigil.demo.world.meshes import Mesh

Floats = NDArray[np.float64]


def add_head(mesh: Mesh, h: float, size: float, fit: Outfit) -> None:
    """Add neck, head, hair and face."""
    mid = 0.93 * h
    mesh.loft(
        [
            (-0.012, 0, 0.83 * h, 0.06, 0.062),
            (-0.005, 0, 0.855 * h, 0.053, 0.055),
            (0.005, 0, 0.89 * h, 0.05, 0.052),
        ],
        10,
        ("chest", "head"),
        [0.0, 0.5, 1.0],
    )
    mesh.paint(fit.skin)
    profile = [
        (-0.122, 0.02, 0.018, 0.045),
        (-0.112, 0.05, 0.038, 0.035),
        (-0.085, 0.075, 0.056, 0.02),
        (-0.05, 0.088, 0.066, 0.01),
        (-0.015, 0.095, 0.073, 0.004),
        (0.02, 0.1, 0.077, 0.0),
        (0.05, 0.1, 0.077, -0.002),
        (0.08, 0.09, 0.07, -0.004),
        (0.105, 0.068, 0.055, -0.006),
        (0.12, 0.038, 0.032, -0.008),
        (0.126, 0.006, 0.006, -0.008),
    ]
    rings = [(x * size + 0.012, 0.0, mid + z * size, a * size, b * size) for z, a, b, x in profile]
    centers = mesh.loft(rings, 18, ("head", "head"), [0.0] * len(rings))
    mesh.paint(fit.head(centers, mid, size))
    _hair(mesh, mid, size, fit)
    _face(mesh, mid, size, fit)


def _hair(mesh: Mesh, mid: float, size: float, fit: Outfit) -> None:
    """Add long hair behind the head, a bun or a cap's peak."""
    if fit.hairstyle == "long":
        rings = [
            (-0.06, 0, -0.2, 0.03, 0.05),
            (-0.055, 0, -0.15, 0.045, 0.075),
            (-0.035, 0, -0.07, 0.06, 0.085),
            (-0.02, 0, 0.02, 0.085, 0.086),
            (-0.012, 0, 0.09, 0.082, 0.074),
            (-0.008, 0, 0.13, 0.03, 0.03),
        ]
    elif fit.hairstyle == "bun":
        rings = [
            (-0.1, 0, 0.02, 0.01, 0.01),
            (-0.105, 0, 0.04, 0.04, 0.04),
            (-0.1, 0, 0.08, 0.045, 0.045),
            (-0.09, 0, 0.11, 0.01, 0.01),
        ]
    elif fit.hairstyle == "cap":
        rings = [
            (0.12, 0, 0.045, 0.06, 0.065),
            (0.12, 0, 0.06, 0.06, 0.065),
            (0.1, 0, 0.068, 0.01, 0.01),
        ]
    else:
        return
    grown = [(x * size + 0.012, y, mid + z * size, a * size, b * size) for x, y, z, a, b in rings]
    mesh.loft(grown, 10, ("head", "head"), [0.0] * len(grown))
    mesh.paint(fit.hair)


def _face(mesh: Mesh, mid: float, size: float, fit: Outfit) -> None:
    """Add nose, eyes, brows, mouth and ears."""

    def quad(x: float, y: float, z: float, wide: float, tall: float, slant: float) -> Floats:
        corners = [(0, -1, -1), (0, 1, -1), (0, 1, 1), (0, -1, 1)]
        points = [
            (x - slant * abs(y + dy * wide), y + dy * wide, z + dz * tall) for _, dy, dz in corners
        ]
        return np.asarray(np.array(points) * size + np.array([0.012, 0, mid]))

    dark = np.array([0.07, 0.05, 0.05])
    for y in (-0.032, 0.032):
        mesh.patch(quad(0.108, y, 0.016, 0.0145, 0.0075, 0.5), "head", fit.skin * 0.2 + 0.55, 0.03)
        mesh.patch(quad(0.11, y, 0.016, 0.0075, 0.008, 0.5), "head", dark, 0.04)
        mesh.patch(quad(0.108, y, 0.034, 0.0185, 0.0045, 0.5), "head", fit.hair * 0.6, 0.03)
        ear = [
            (-0.005, y * 2.42, -0.035, 0.014, 0.008),
            (-0.012, y * 2.5, -0.005, 0.022, 0.012),
            (-0.014, y * 2.5, 0.025, 0.02, 0.012),
            (-0.01, y * 2.42, 0.035, 0.006, 0.006),
        ]
        mesh.loft(
            [
                (x * size + 0.012, v * size, mid + z * size, a * size, b * size)
                for x, v, z, a, b in ear
            ],
            6,
            ("head", "head"),
            [0.0] * 4,
        )
        mesh.paint(fit.skin * np.array([0.93, 0.82, 0.8]), 0.004)
    nose = [
        (0.098, 0, -0.034, 0.024, 0.017),
        (0.1, 0, -0.025, 0.03, 0.018),
        (0.098, 0, 0.0, 0.018, 0.011),
        (0.096, 0, 0.018, 0.008, 0.008),
    ]
    mesh.loft(
        [(x * size + 0.012, 0, mid + z * size, a * size, b * size) for x, _, z, a, b in nose],
        8,
        ("head", "head"),
        [0.0] * 4,
    )
    mesh.paint(fit.skin * np.array([1.04, 0.97, 0.95]), 0.01)
    lips = fit.skin * np.array([0.8, 0.5, 0.5])
    mesh.patch(quad(0.106, 0, -0.062, 0.024, 0.0065, 0.35), "head", lips, 0.03)
