"""Rooms: floor, walls, doors, furniture and lamps, drawn once per camera with depth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.cameras import Camera
from vigil.demo.render import DEPTH_UNIT, Light
from vigil.demo.textures import Texture, draw_floor_texture, draw_furniture_texture, draw_wall_texture

Floats = NDArray[np.float64]
Image = NDArray[Any]


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

    def gain(self, xy: Floats) -> Any:
        """Return the light falling at (..., 2) floor points, about 1."""
        offset = xy[..., None, :] - self.lamps[:, :2]
        pools = np.exp(-(offset**2).sum(axis=-1) / 5.0).sum(axis=-1)
        return (1 - self.lamp_gain) + self.lamp_gain * 1.25 * np.minimum(pools, 1.4)


@dataclass
class _Builder:
    """Collects furniture."""

    rng: np.random.Generator
    faces: list[Face] = field(default_factory=list)
    obstacles: list[tuple[float, float, float]] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)

    def box(self, xy: Floats, z: float, size: tuple[float, float, float], yaw: float,
            texture: Texture) -> None:
        """Add an upright box centered at `xy`, its bottom at height `z`, sizes in meters."""
        c, s = np.cos(yaw), np.sin(yaw)
        ex, ey, ez = np.array([c, s, 0.0]), np.array([-s, c, 0.0]), np.array([0.0, 0.0, 1.0])
        half = np.array(size) / 2
        center = np.array([*xy, z + half[2]])
        for axis, (a, b) in ((ex, (ey, ez)), (-ex, (-ey, ez)), (ey, (-ex, ez)), (-ey, (ex, ez)),
                             (ez, (ex, ey))):
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
        sizes = {"counter": (0.55, 1.6, 1.05), "cabinet": (0.45, 0.9, 1.5), "pillar": (0.35, 0.35, 2.8),
                 "boxes": (0.5, 0.6, 0.45), "sofa": (0.8, 1.6, 0.4), "planter": (0.4, 0.4, 0.4)}
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
            texture = Texture(np.full((2, 2, 3), green * self.rng.uniform(0.6, 1.3) * 255), 1.0)
            turn, tilt = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.2, 1.2)
            out = np.array([np.cos(turn) * np.cos(tilt), np.sin(turn) * np.cos(tilt), np.sin(tilt)])
            across = np.array([-np.sin(turn), np.cos(turn), 0.0]) * 0.1
            start = np.array([*xy, tall]) - across / 2
            length = self.rng.uniform(0.35, 0.8)
            self.faces.append(Face(start, across, out * length, texture))
            self.faces.append(Face(start, out * length, across, texture))


def _walls(rng: np.random.Generator, half: tuple[float, float]) -> tuple[list[Face], Floats]:
    """Return floor, walls with doors and things hung on them, and the door positions."""
    hx, hy = half
    tall = rng.uniform(2.7, 4.0)
    up = np.array([0.0, 0.0, tall])
    corners = [np.array(c) for c in ((-hx, -hy, 0.0), (hx, -hy, 0.0), (hx, hy, 0.0), (-hx, hy, 0.0))]
    faces = [Face(corners[0], corners[1] - corners[0], corners[3] - corners[0],
                  draw_floor_texture(rng), "floor")]
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
                faces.append(Face(base + unit * wide / 2, -unit * wide, np.array([0, 0, high]),
                                  draw_furniture_texture(rng), "decor"))
    return faces, np.array(doors).reshape(-1, 4)


def _door(rng: np.random.Generator, point: Floats, unit: Floats, inward: Floats) -> list[Face]:
    """Return a doorway: a dark passage 1.6 m deep behind an opening and its frame."""
    wide, high = rng.uniform(0.95, 1.3), rng.uniform(2.05, 2.3)
    shade = rng.uniform(0.05, 0.3)
    dark = Texture(np.full((2, 2, 3), shade * 255) * rng.uniform(0.85, 1.0, 3), 1.0)
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
    builder = _Builder(rng)
    _furnish(builder, half)
    turn, lift = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.3)
    direction = np.array([np.cos(turn) * np.cos(lift), np.sin(turn) * np.cos(lift), np.sin(lift)])
    infrared = bool(rng.random() < 0.22)
    dim = rng.random() < 0.2
    ambient = rng.uniform(0.35, 0.6) * (0.6 if dim else 1.0)
    light = Light(direction, rng.uniform(0.4, 0.75) * (0.6 if dim else 1.0), ambient)
    lamps = np.column_stack([rng.uniform(-half[0], half[0], 5), rng.uniform(-half[1], half[1], 5),
                             np.full(5, 3.0)])
    cast = 1 + rng.normal(0, 0.06, 3) * (rng.random() < 0.6)
    noise = rng.uniform(3.5, 8.0) if infrared or dim else rng.uniform(1.2, 4.0)
    obstacles = np.array(builder.obstacles).reshape(-1, 3)
    return Room(half, faces + builder.faces, obstacles, builder.seats, doors, light, lamps,
                float(rng.uniform(0.1, 0.55)), infrared, cast, float(noise),
                float(rng.uniform(0.015, 0.045)))


def _furnish(builder: _Builder, half: tuple[float, float]) -> None:
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


@dataclass(frozen=True)
class Backdrop:
    """A room seen by a camera.

    Attributes:
        rgb: (H, W, 3) float32 in 8-bit levels, lit, without noise.
        depth: (H, W) uint16 depth steps of 0.5 mm (65535 for nothing).
        floor: (H, W) float32, 1 where the floor is seen.
        vignette: (H, W, 1) float32.
    """

    rgb: Image
    depth: Image
    floor: Image
    vignette: Image


def draw_backdrop(room: Room, camera: Camera, rng: np.random.Generator) -> Backdrop:
    """Draw the room with a depth buffer, light pools, corner shade and vignette."""
    height, width = camera.height, camera.width
    rgb = np.full((height, width, 3), 40, np.uint8)
    near = np.full((height, width), 1 / 40, np.float32)
    floor = np.zeros((height, width), np.uint8)
    for face in room.faces:
        _draw_face(face, camera, room.light, rgb, near, floor)
    light = _light_map(room, camera, near)
    vignette = _vignette(camera, rng, room.infrared)
    image = cv2.GaussianBlur(rgb, (3, 3), 0.6).astype(np.float32)
    image *= light[..., None]
    if room.infrared:
        image[:] = (image @ np.array([0.4, 0.4, 0.2], np.float32))[..., None]
    else:
        image *= room.cast.astype(np.float32)
    image *= vignette
    depth = np.clip(DEPTH_UNIT / near, 0, 65535).astype(np.uint16)
    return Backdrop(image, depth, floor.astype(np.float32), vignette)


def _clip_near(points: Floats, camera: Camera, near: float = 0.15) -> Floats:
    """Cut a (N, 3) polygon at `near` meters in front of the camera."""
    depth = (points - camera.position) @ camera.axes[2]
    out: list[Floats] = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if depth[i] > near:
            out.append(points[i])
        if (depth[i] > near) != (depth[j] > near):
            share = (near - depth[i]) / (depth[j] - depth[i])
            out.append(points[i] + (points[j] - points[i]) * share)
    return np.array(out).reshape(-1, 3)


def _draw_face(
    face: Face, camera: Camera, light: Light, rgb: Image, near: Image, floor: Image
) -> None:
    """Draw one face into the color, inverse depth and floor buffers."""
    if face.normal @ (camera.position - face.origin) <= 0.01:
        return
    ring = np.stack([face.origin, face.origin + face.u, face.origin + face.u + face.v,
                     face.origin + face.v])
    ring = _clip_near(ring, camera)
    if len(ring) < 3:
        return
    uv = np.clip(camera.project(ring)[0], -4000, 4000)
    x0, y0 = np.maximum(np.floor(uv.min(axis=0)).astype(int), 0)
    x1 = min(int(np.ceil(uv[:, 0].max())) + 1, camera.width)
    y1 = min(int(np.ceil(uv[:, 1].max())) + 1, camera.height)
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((uv - [x0, y0]) * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    to_plane = np.linalg.inv(_plane_to_image(face, camera, x0, y0))
    a, b, c = to_plane[2].astype(np.float32)
    xs, ys = np.arange(x1 - x0, dtype=np.float32), np.arange(y1 - y0, dtype=np.float32)
    inverse = (a * xs + c)[None] + (b * ys)[:, None]
    region = (slice(y0, y1), slice(x0, x1))
    bias = 1.002 if face.kind == "decor" else 1.0
    mask &= (inverse * np.float32(bias) > near[region]).view(np.uint8)
    pixels = face.texture.warp(to_plane, face.u, face.v, (x1 - x0, y1 - y0))
    shade = _face_shade(face, light)
    cv2.copyTo(cv2.convertScaleAbs(pixels, alpha=shade), mask, rgb[region])
    if face.kind == "opening":
        inverse = inverse / (1 + 1.8 * inverse)
    cv2.copyTo(inverse.astype(np.float32), mask, near[region])
    floor[region][mask > 0] = face.kind == "floor"


def _plane_to_image(face: Face, camera: Camera, x0: int, y0: int) -> Floats:
    """Return the homography from face coordinates (s, t in [0, 1]) to pixels of a crop."""
    columns = np.stack([face.u, face.v, face.origin - camera.position], axis=1)
    local = camera.axes @ columns
    f = camera.focal
    intrinsic = np.array([[f, 0, camera.width / 2 - x0], [0, f, camera.height / 2 - y0], [0, 0, 1]])
    return np.asarray(intrinsic @ local)


def _face_shade(face: Face, light: Light) -> float:
    """Return the brightness of a face under the main light."""
    normal = face.normal
    lambert = max(0.0, float(normal @ light.direction) * 0.85 + 0.15)
    return float(light.ambient * (0.75 + 0.25 * normal[2]) + light.strength * lambert)


def _light_map(room: Room, camera: Camera, near: Image) -> Image:
    """Return (H, W) float32: pools of light where the surfaces lie, smooth in the image."""
    step = 8
    small = near[step // 2 :: step, step // 2 :: step].astype(np.float64)
    v, u = np.mgrid[0 : small.shape[0], 0 : small.shape[1]] * step + step // 2
    rays = np.stack([u - camera.width / 2, v - camera.height / 2, np.full(u.shape, camera.focal)], -1)
    points = camera.position + (rays / camera.focal / small[..., None]) @ camera.axes
    gain = room.gain(points[..., :2]) * (0.85 + 0.15 * np.minimum(points[..., 2] / 0.25, 1))
    smooth = cv2.GaussianBlur(gain.astype(np.float32), (0, 0), 0.8)
    return cv2.resize(smooth, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)


def _vignette(camera: Camera, rng: np.random.Generator, infrared: bool) -> Image:
    """Return the (H, W, 1) darkening toward the corners, strong for infrared lamps."""
    strength = rng.uniform(0.25, 0.5) if infrared else rng.uniform(0.0, 0.25)
    y = (np.arange(camera.height, dtype=np.float32) / camera.height * 2 - 1) ** 2
    x = (np.arange(camera.width, dtype=np.float32) / camera.width * 2 - 1) ** 2
    return (1 - np.float32(strength) * (x[None] + y[:, None]) / 2)[..., None]
