"""Drawing posed bodies over a static background: quads, depth, motion blur and ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.bodies import Body
from vigil.demo.world.cameras import Camera
from vigil.demo.world.skeleton import Frame

Floats = NDArray[np.float64]
Image = NDArray[Any]

SCALE = 2  # supersampling
DEPTH_UNIT = 2000.0  # layer depth steps per meter
COLOR_UNIT = 128.0  # layer color steps per 8-bit level


@dataclass(frozen=True)
class Light:
    """Directional light and ambient. `direction` (3,) points toward the light."""

    direction: Floats
    strength: float
    ambient: float


@dataclass(frozen=True)
class Layer:
    """One person at one instant, alone, at twice the image's resolution.

    `pixels` (h, w, 4) uint16 holds RGB times 128 and depth times 2000 (0 where empty); its corner
    lies at (`x`, `y`) in supersampled pixels, which may be outside the image.
    """

    x: int
    y: int
    pixels: Image


def draw_layer(
    body: Body, vertices: Floats, camera: Camera, light: Light, gain: float, shaded: bool = True
) -> Layer | None:
    """Draw (V, 3) posed vertices; None when no part is near the image."""
    uv, depth = camera.project(vertices)
    uv = uv * SCALE
    low, high = _window(uv, depth, camera)
    if (high <= low).any():
        return None
    quads = body.quads
    corners = vertices[quads]
    center = corners.mean(axis=1)
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    facing = np.einsum("ij,ij->i", normal, center - camera.position) < 0
    facing &= depth[quads].min(axis=1) > 0.3
    chosen = np.flatnonzero(facing)
    distance = depth[quads[chosen]].mean(axis=1) - body.bias[chosen]
    order = np.argsort(-distance)
    chosen, distance = chosen[order], distance[order]
    values = np.empty((len(chosen), 4))
    values[:, 3] = np.clip(distance * DEPTH_UNIT, 1, 65535)
    values[:, :3] = _shade(body, normal[chosen], chosen, light, gain) if shaded else 0
    points = np.rint((uv[quads[chosen]] - low) * 8).astype(np.int32)
    pixels = np.zeros((high[1] - low[1], high[0] - low[0], 4), np.uint16)
    draw = cv2.fillConvexPoly
    for polygon, value in zip(points, values.tolist(), strict=True):
        draw(pixels, polygon, value, 8, 3)
    return Layer(int(low[0]), int(low[1]), pixels)


def _window(uv: Floats, depth: Floats, camera: Camera) -> tuple[Image, Image]:
    """Return integer corners of the body's box, bounded to a quarter image around the image."""
    size = np.array([camera.width, camera.height]) * SCALE
    front = uv[depth > 0.3]
    if not len(front):
        return np.zeros(2, int), np.zeros(2, int)
    low = np.maximum(np.floor(front.min(axis=0)) - 1, -size // 4).astype(int)
    high = np.minimum(np.ceil(front.max(axis=0)) + 2, size + size // 4).astype(int)
    if (low >= size).any() or (high <= 0).any():
        return low, low
    return low, high


def _shade(body: Body, normal: Floats, chosen: Image, light: Light, gain: float) -> Floats:
    """Return (F, 3) layer colors of the chosen quads."""
    unit = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    lambert = np.clip(unit @ light.direction * 0.85 + 0.15, 0, None)
    sky = 0.75 + 0.25 * unit[:, 2]
    amount = (light.ambient * sky + light.strength * lambert) * gain
    return np.asarray(np.clip(body.colors[chosen] * amount[:, None] * 255, 0, 500) * COLOR_UNIT)


@dataclass(frozen=True)
class Composite:
    """Layers merged by depth inside a region of the image.

    Attributes:
        box: x0, y0, x1, y1 of the region in image pixels.
        rgb: (h, w, 3) float32 color premultiplied by coverage, or None when not shaded.
        alpha: (h, w) float32 coverage in [0, 1].
        owner: (2h, 2w) uint8, 1 + index of the layer seen, 0 for the background.
        depth: (2h, 2w) uint16 depth steps of what is seen.
    """

    box: tuple[int, int, int, int]
    rgb: Image | None
    alpha: Image
    owner: Image
    depth: Image


def composite(layers: list[Layer | None], scenery: Image, shaded: bool = True) -> Composite | None:
    """Merge layers over the (H, W) uint16 depth steps of the static scenery."""
    height, width = scenery.shape
    box = _union(layers, width, height)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    depth = cv2.resize(
        scenery[y0:y1, x0:x1], None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST
    )
    color = np.zeros((*depth.shape, 4), np.uint16)
    owner = np.zeros(depth.shape, np.uint8)
    for index, layer in enumerate(layers):
        cut = _overlap(layer, box)
        if cut is None or layer is None:
            continue
        there, here = cut
        pixels = layer.pixels[there]
        near = pixels[..., 3]
        mask = ((near > 0) & (near < depth[here])).view(np.uint8)
        cv2.copyTo(near, mask, depth[here])
        owner[here][mask > 0] = index + 1
        if shaded:
            cv2.copyTo(pixels, mask, color[here])
    size = (x1 - x0, y1 - y0)
    alpha = cv2.resize((owner > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rgb = None
    if shaded:
        small = cv2.resize(color, size, interpolation=cv2.INTER_AREA)[..., :3]
        rgb = small.astype(np.float32) / np.float32(COLOR_UNIT)
    return Composite(box, rgb, alpha, owner, depth)


def _union(layers: list[Layer | None], width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return the image box covering all layers, or None when there is none."""
    boxes = [(v.x, v.y, v.x + v.pixels.shape[1], v.y + v.pixels.shape[0]) for v in layers if v]
    if not boxes:
        return None
    x0, y0 = min(b[0] for b in boxes) // SCALE, min(b[1] for b in boxes) // SCALE
    x1, y1 = -(-max(b[2] for b in boxes) // SCALE), -(-max(b[3] for b in boxes) // SCALE)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


Slices = tuple[slice, slice]


def _overlap(layer: Layer | None, box: tuple[int, int, int, int]) -> tuple[Slices, Slices] | None:
    """Return the common part as slices into the layer and into the supersampled region."""
    if layer is None:
        return None
    bx, by = box[0] * SCALE, box[1] * SCALE
    h, w = layer.pixels.shape[:2]
    x0, y0 = max(layer.x, bx), max(layer.y, by)
    x1, y1 = min(layer.x + w, box[2] * SCALE), min(layer.y + h, box[3] * SCALE)
    if x1 <= x0 or y1 <= y0:
        return None
    there = (slice(y0 - layer.y, y1 - layer.y), slice(x0 - layer.x, x1 - layer.x))
    return there, (slice(y0 - by, y1 - by), slice(x0 - bx, x1 - bx))


@dataclass(frozen=True)
class FrameTruth:
    """What is really in a frame; persons with no visible pixel are absent.

    Attributes:
        track_ids: (N,) int32.
        boxes: (N, 4) float32 xyxy pixels, tight around the visible pixels.
        masks: (N, H, W) bool, the visible pixels.
        keypoints: (N, 17, 2) float32 COCO keypoints in pixels, also where hidden or outside.
        visibility: (N, 17) uint8, 0 outside the image, 1 occluded, 2 visible.
        visible_fraction: (N,) float32, visible pixels over those of the person seen alone.
    """

    track_ids: NDArray[np.int32]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_]
    keypoints: NDArray[np.float32]
    visibility: NDArray[np.uint8]
    visible_fraction: NDArray[np.float32]


def frame_truth(
    track_ids: list[int],
    layers: list[Layer | None],
    merged: Composite | None,
    landmarks: list[tuple[Floats, Floats, Floats]],
    size: tuple[int, int],
) -> FrameTruth:
    """Read the ground truth off a composite.

    `landmarks` holds per person (17, 2) pixels, (17,) depths and (17,) flesh in meters; `size` is
    (width, height).
    """
    width, height = size
    rows = []
    taken = np.zeros((height, width), bool)
    for index, layer in enumerate(layers):
        if merged is None or layer is None:
            continue
        x0, y0, x1, y1 = merged.box
        own = (merged.owner == index + 1).astype(np.float32)
        small = cv2.resize(own, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA) >= 0.5
        small &= ~taken[y0:y1, x0:x1]
        if not small.any():
            continue
        mask = np.zeros((height, width), bool)
        mask[y0:y1, x0:x1] = small
        taken |= mask
        ys, xs = np.flatnonzero(small.any(axis=1)) + y0, np.flatnonzero(small.any(axis=0)) + x0
        box = (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)
        seen = _visibility(index, merged, *landmarks[index], size)
        alone = int(np.count_nonzero(layer.pixels[..., 3]))
        share = min(1.0, float(own.sum()) / max(alone, 1))
        rows.append((track_ids[index], box, mask, landmarks[index][0], seen, share))
    n = len(rows)
    return FrameTruth(
        np.array([r[0] for r in rows], np.int32),
        np.array([r[1] for r in rows], np.float32).reshape(n, 4),
        np.array([r[2] for r in rows], bool).reshape(n, height, width),
        np.array([r[3] for r in rows], np.float32).reshape(n, 17, 2),
        np.array([r[4] for r in rows], np.uint8).reshape(n, 17),
        np.array([r[5] for r in rows], np.float32),
    )


def _visibility(
    index: int, merged: Composite, uv: Floats, depth: Floats, flesh: Floats, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return (17,) COCO visibility: visible where only the joint's own flesh covers it."""
    width, height = size
    x0, y0 = merged.box[:2]
    seen = np.zeros(len(uv), np.uint8)
    inside = (uv[:, 0] >= 0) & (uv[:, 0] < width) & (uv[:, 1] >= 0) & (uv[:, 1] < height)
    seen[inside & (depth > 0.2)] = 1
    for k in np.flatnonzero(seen):
        x, y = int((uv[k, 0] - x0) * SCALE), int((uv[k, 1] - y0) * SCALE)
        patch = (slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2))
        own = merged.owner[patch] == index + 1
        if own.any():
            front = float(merged.depth[patch][own].mean()) / DEPTH_UNIT
            if front > depth[k] - flesh[k]:
                seen[k] = 2
    return seen


def cast_shadow(frame: Frame, camera: Camera, light: Light, canvas: Image, step: int) -> None:
    """Draw a posed body's (T = 1) shadow on the floor.

    `canvas` is (H / step, W / step) float32, 1 where lit; shaded pixels become 0.
    """
    slope = light.direction[:2] / max(float(light.direction[2]), 0.35)
    points = frame.origin[0].copy()
    points[:, :2] -= slope * points[:, 2:] * 0.6
    points[:, 2] = 0.0
    uv, depth = camera.project(points)
    if depth.min() < 0.3:
        return
    uv = np.rint(uv / step * 8).astype(int)
    per_meter = camera.focal / float(depth.mean()) / step
    for first, second, wide in _SHADOW_BONES:
        width = max(1, round(wide * per_meter))
        a, b = (int(uv[first, 0]), int(uv[first, 1])), (int(uv[second, 0]), int(uv[second, 1]))
        cv2.line(canvas, a, b, 0.0, width, cv2.LINE_8, 3)


_SHADOW_BONES = (
    (0, 1, 0.3), (1, 2, 0.35), (3, 4, 0.1), (4, 5, 0.09), (6, 7, 0.1), (7, 8, 0.09),
    (9, 10, 0.15), (10, 11, 0.13), (12, 13, 0.15), (13, 14, 0.13),
)  # fmt: skip
