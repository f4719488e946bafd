"""Where in a room people may stand and come from, as the camera sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.cameras import Camera
from vigil.demo.world.rooms import Room

Floats = NDArray[np.float64]


class Stage:
    """Free places of a room as the camera sees them."""

    def __init__(self, rng: np.random.Generator, room: Room, camera: Camera) -> None:
        self.rng, self.room, self.camera = rng, room, camera
        self.taken: list[Floats] = []

    def free(self, xy: Floats, reach: float) -> bool:
        """Whether `xy` is inside the room and clear of furniture by `reach` meters."""
        if np.any(np.abs(xy) > np.array(self.room.half) - 0.35):
            return False
        obstacles = self.room.obstacles
        if not len(obstacles):
            return True
        gaps = np.linalg.norm(obstacles[:, :2] - xy, axis=1) - obstacles[:, 2]
        return bool(gaps.min() > reach)

    def clear(self, a: Floats, b: Floats) -> bool:
        """Whether one can walk straight from `a` to `b` inside the visible room."""
        obstacles = self.room.obstacles
        if not len(obstacles):
            return True
        gap = b - a
        u = np.clip((obstacles[:, :2] - a) @ gap / max(float(gap @ gap), 1e-6), 0, 1)
        nearest = a + u[:, None] * gap
        return bool((np.linalg.norm(obstacles[:, :2] - nearest, axis=1) > obstacles[:, 2]).all())

    def seen(self, xy: Floats) -> bool:
        """Whether no furniture stands on the line from the camera to `xy`."""
        eye = self.camera.position[:2]
        obstacles = self.room.obstacles
        if not len(obstacles):
            return True
        gap = xy - eye
        u = np.clip((obstacles[:, :2] - eye) @ gap / float(gap @ gap), 0, 0.98)
        away = np.linalg.norm(obstacles[:, :2] - (eye + u[:, None] * gap), axis=1)
        return bool((away > obstacles[:, 2] - 0.1).all())

    def spot(
        self,
        reach: float,
        apart: float = 0.9,
        low: float = 0.97,
        side: float = 0.14,
        open_view: bool = False,
    ) -> Floats:
        """Draw a place in view where a person is seen whole.

        `reach` meters are free of furniture, `apart` meters of others; `low` is the share of the
        image's height below which no feet come, `side` the share of its width kept free;
        `open_view` asks for no furniture before it.
        """
        camera = self.camera
        best = np.zeros(2)
        for attempt in range(40):
            u = self.rng.uniform(side, 1 - side) * camera.width
            v = self.rng.uniform(0.38, low) * camera.height
            xy = camera.ground(u, v)
            if xy is None or np.linalg.norm(xy) > 3.2:
                continue
            head = camera.project(np.array([*xy, 1.7]))[0]
            if not 0 < head[1] < camera.height * 0.55:
                continue
            best = xy
            slack = 1 - attempt / 60
            if open_view and attempt < 25 and not self.seen(xy):
                continue
            near = [float(np.linalg.norm(xy - t)) for t in self.taken]
            if self.free(xy, reach * slack) and (not near or min(near) > apart * slack):
                break
        self.taken.append(best)
        return best

    def outside(self, target: Floats, longest: float) -> Floats | None:
        """Draw a place out of view, or behind a door, from where one can walk to `target`."""
        room, camera, rng = self.room, self.camera, self.rng
        for _ in range(24):
            if len(room.doors) and rng.random() < 0.3:
                door = room.doors[rng.integers(len(room.doors))]
                start = door[2:]
            else:
                turn, away = rng.uniform(0, 2 * np.pi), rng.uniform(2.0, 7.0)
                start = target + np.array([np.cos(turn), np.sin(turn)]) * away
                if not self._allowed(start) or camera.sees(start, 40):
                    continue
            if np.linalg.norm(start - target) < longest and self.clear(start, target):
                return np.asarray(start)
        return None

    def _allowed(self, xy: Floats) -> bool:
        """Whether a straight way from the room to `xy` passes no visible wall."""
        eye = self.camera.position
        for axis in (0, 1):
            for sign in (-1, 1):
                limit = self.room.half[axis]
                seen = sign * eye[axis] < limit
                if seen and sign * xy[axis] > limit - 0.3:
                    return False
        return True
