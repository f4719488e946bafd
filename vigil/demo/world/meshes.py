"""Skinned quad meshes made of lofted tubes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.skeleton import BONE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Ring = tuple[float, float, float, float, float]


class Mesh:
    """Collects lofted tubes into one mesh."""

    def __init__(self) -> None:
        self.vertices: list[Floats] = []
        self.bones: list[tuple[int, int]] = []
        self.weight: list[float] = []
        self.quads: list[Ints] = []
        self.colors: list[Floats] = []
        self.bias: list[Floats] = []
        self.count = 0

    def loft(
        self,
        rings: Sequence[Ring],
        sides: int,
        bones: tuple[str, str],
        share: list[float],
        axis: str = "z",
    ) -> Floats:
        """Add a tube and return its (rings - 1, sides, 3) quad centers.

        `rings` are (x, y, z, ra, rb): center and radii, ordered along `axis`; for "z" ra is
        front-back and rb left-right, for "x" ra is left-right and rb up-down. `share` is the
        second bone's weight at each ring.
        """
        turn = 2 * np.pi * (np.arange(sides) + 0.5) / sides
        c, s, zero = np.cos(turn), np.sin(turn), np.zeros(sides)
        grid = []
        for (x, y, z, ra, rb), w in zip(rings, share, strict=True):
            around = [ra * c, rb * s, zero] if axis == "z" else [zero, ra * c, rb * s]
            grid.append(np.array([x, y, z]) + np.stack(around, axis=1))
            self.bones += [(BONE[bones[0]], BONE[bones[1]])] * sides
            self.weight += [w] * sides
        points = np.stack(grid)
        index = np.arange(len(rings) * sides).reshape(len(rings), sides) + self.count
        after = np.roll(index, -1, axis=1)
        quads = np.stack([index[:-1], after[:-1], after[1:], index[1:]], axis=-1).reshape(-1, 4)
        self.vertices.append(points.reshape(-1, 3))
        self.quads.append(quads)
        self.count += len(rings) * sides
        centers = points.reshape(-1, 3)[quads - index[0, 0]].mean(axis=1)
        return np.asarray(centers.reshape(len(rings) - 1, sides, 3))

    def paint(self, colors: Floats, bias: float = 0.0) -> None:
        """Color the quads of the last tube, (rings - 1, sides, 3) or anything that broadcasts."""
        n = len(self.quads[-1])
        self.colors.append(np.broadcast_to(colors, (n, 3)) if colors.ndim == 1 else colors)
        self.colors[-1] = self.colors[-1].reshape(n, 3)
        self.bias.append(np.full(n, bias))

    def patch(self, corners: Floats, bone: str, color: Floats, bias: float) -> None:
        """Add one (4, 3) quad, counter-clockwise seen from outside."""
        self.vertices.append(corners)
        self.bones += [(BONE[bone], BONE[bone])] * 4
        self.weight += [0.0] * 4
        self.quads.append(np.arange(4)[None] + self.count)
        self.count += 4
        self.paint(color, bias)
