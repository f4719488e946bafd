"""Drawing an empty room once per camera: color, depth, floor and vignette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.cameras import Camera
from vigil.demo.world.furniture import Face
from vigil.demo.world.render import DEPTH_UNIT, Light
from vigil.demo.world.rooms import Room

Floats = NDArray[np.float64]
Image = NDArray[Any]


@dataclass(frozen=True)
class Backdrop:
    """A room seen by a camera.

    Attributes:
        rgb: (H, W, 3) float32 in 8-bit levels, lit, without noise.
        depth: (H, W) uint16 depth steps of 0.5 mm (65535 for nothing).
        floor: (H, W) float32, 1 where the floor is seen.
        vignette: (H, W, 1) float32.
        exposure: what the camera's automatic exposure multiplies light by.
        softness: deviation in pixels of the lens's blur, 0 for a sharp one.
    """

    rgb: Image
    depth: Image
    floor: Image
    vignette: Image
    exposure: float
    softness: float


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
    exposure = float(np.clip(room.brightness / max(float(image.mean()), 1.0), 0.6, 2.6))
    image *= np.float32(exposure)
    softness = float(rng.uniform(0.4, 1.0)) if rng.random() < 0.4 else 0.0
    depth = np.clip(DEPTH_UNIT / near, 0, 65535).astype(np.uint16)
    return Backdrop(image, depth, floor.astype(np.float32), vignette, exposure, softness)


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
    ring = np.stack(
        [face.origin, face.origin + face.u, face.origin + face.u + face.v, face.origin + face.v]
    )
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
    cv2.fillConvexPoly(mask, np.rint(uv - [x0, y0]).astype(np.int32), 1)
    to_plane = np.linalg.inv(_plane_to_image(face, camera, x0, y0))
    a, b, c = to_plane[2].astype(np.float32)
    xs, ys = np.arange(x1 - x0, dtype=np.float32), np.arange(y1 - y0, dtype=np.float32)
    inverse = (a * xs + c)[None] + (b * ys)[:, None]
    region = (slice(y0, y1), slice(x0, x1))
    bias = 0.98 if face.kind in ("decor", "opening") else 1.004  # first drawn wins where faces meet
    mask &= (inverse > near[region] * np.float32(bias)).view(np.uint8)
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
    rays = np.stack(
        [u - camera.width / 2, v - camera.height / 2, np.full(u.shape, camera.focal)], -1
    )
    points = camera.position + (rays / camera.focal / small[..., None]) @ camera.axes
    gain = room.gain(points[..., :2]) * (0.85 + 0.15 * np.minimum(points[..., 2] / 0.25, 1))
    smooth = cv2.GaussianBlur(gain.astype(np.float32), (0, 0), 0.8)
    size = (camera.width, camera.height)
    return np.asarray(cv2.resize(smooth, size, interpolation=cv2.INTER_LINEAR))


def _vignette(camera: Camera, rng: np.random.Generator, infrared: bool) -> Image:
    """Return the (H, W, 1) darkening toward the corners, strong for infrared lamps."""
    strength = rng.uniform(0.25, 0.5) if infrared else rng.uniform(0.0, 0.25)
    y = (np.arange(camera.height, dtype=np.float32) / camera.height * 2 - 1) ** 2
    x = (np.arange(camera.width, dtype=np.float32) / camera.width * 2 - 1) ** 2
    return np.asarray((1 - np.float32(strength) * (x[None] + y[:, None]) / 2)[..., None])
