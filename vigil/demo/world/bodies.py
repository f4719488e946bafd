"""Human bodies: proportions, a skinned quad mesh and clothes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.clothes import Outfit, draw_outfit
from vigil.demo.world.heads import add_head
from vigil.demo.world.meshes import Mesh, Ring
from vigil.demo.world.skeleton import BONE, COCO_KEYPOINTS, Frame, rest_origins

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Body:
    """A person's shape and looks.

    Attributes:
        height: stature in meters.
        rest: (15, 3) bone origins standing, meters.
        radii: (15,) flesh around each origin, meters.
        vertices: (V, 3) standing mesh, meters.
        bones: (V, 2) the two bones each vertex follows.
        weight: (V,) share of the second bone.
        quads: (F, 4) vertex indices, counter-clockwise seen from outside.
        colors: (F, 3) RGB reflectance in [0, 1].
        bias: (F,) meters by which a quad is drawn nearer than it is (face details).
        landmarks: (17, 3) COCO keypoints standing, meters.
        landmark_bones: (17,) the bone each keypoint follows.
        landmark_depth: (17,) meters of own flesh that may cover a visible keypoint.
    """

    height: float
    rest: Floats
    radii: Floats
    vertices: Floats
    bones: Ints
    weight: Floats
    quads: Ints
    colors: Floats
    bias: Floats
    landmarks: Floats
    landmark_bones: Ints
    landmark_depth: Floats

    def skin(self, frame: Frame) -> Floats:
        """Return the (T, V, 3) posed mesh in meters."""
        return _transform(frame, self.rest, self.vertices, self.bones, self.weight)

    def keypoints(self, frame: Frame) -> Floats:
        """Return the (T, 17, 3) posed COCO keypoints in meters."""
        bones = np.stack([self.landmark_bones] * 2, axis=1)
        return _transform(frame, self.rest, self.landmarks, bones, np.zeros(len(bones)))


def _transform(frame: Frame, rest: Floats, points: Floats, bones: Ints, weight: Floats) -> Floats:
    """Linear blend skinning of (V, 3) points with two bones each."""
    first, second = bones[:, 0], bones[:, 1]
    offset = frame.origin - np.einsum("tbij,bj->tbi", frame.rotation, rest)
    w = weight[None, :, None]
    rotation = frame.rotation[:, first] * (1 - w[..., None])
    rotation += frame.rotation[:, second] * w[..., None]
    shift = offset[:, first] * (1 - w) + offset[:, second] * w
    return np.asarray((rotation @ points[None, :, :, None])[..., 0] + shift)


def _smooth(low: float, high: float, values: list[float]) -> list[float]:
    """Ease from 1 at `low` to 0 at `high` for each value (weights at a joint, top to bottom)."""
    u = np.clip((np.array(values) - low) / (high - low), 0, 1)
    return [float(v) for v in 1 - u * u * (3 - 2 * u)]


def _torso(mesh: Mesh, h: float, build: float, shoulder: float, hip: float, fit: Outfit) -> None:
    """Add the trunk: hips in the trousers' color, the rest in the shirt's."""
    belly = build * fit.belly
    profile = [  # z / h, front-back and left-right radii, x shift
        (0.465, 0.02, 0.05, 0.0),
        (0.475, 0.075 * build, hip + 0.035, 0.0),
        (0.515, 0.105 * build, hip + 0.078 * build, -0.01),
        (0.555, 0.108 * build, hip + 0.074 * build, -0.005),
        (0.595, 0.105 * belly, hip + 0.056 * build, 0.005),
        (0.635, 0.106 * belly, hip + 0.05 * build, 0.008),
        (0.675, 0.108 * build, hip + 0.058 * build, 0.006),
        (0.715, 0.112 * build, shoulder - 0.04, 0.005),
        (0.755, 0.112 * build, shoulder - 0.018, 0.0),
        (0.79, 0.1 * build, shoulder + 0.005, -0.005),
        (0.815, 0.08 * build, shoulder + 0.005, -0.01),
        (0.832, 0.066 * build, shoulder - 0.06, -0.012),
        (0.848, 0.05, 0.062, -0.008),
        (0.856, 0.01, 0.01, -0.005),
    ]
    rings = [(x, 0.0, z * h, a, b) for z, a, b, x in profile]
    share = [1 - w for w in _smooth(0.57, 0.68, [z for z, *_ in profile])]
    centers = mesh.loft(rings, 16, ("pelvis", "chest"), share)
    mesh.paint(fit.trunk(centers, h))


def _limbs(mesh: Mesh, rest: Floats, h: float, build: float, fit: Outfit) -> None:
    """Add arms, hands, legs and shoes."""
    for s in "lr":
        top, low = rest[BONE[f"arm_{s}"]], rest[BONE[f"hand_{s}"]]
        profile = [
            (-0.02, 0.028),
            (0.03, 0.036),
            (0.2, 0.04),
            (0.4, 0.044),
            (0.49, 0.043),
            (0.56, 0.043),
            (0.68, 0.047),
            (0.85, 0.052),
            (0.96, 0.056),
            (1.03, 0.05),
            (1.08, 0.03),
            (1.1, 0.004),
        ]
        loose = build * (0.9 + fit.loose * 0.2)
        rings = [_at(low, top, u, r * loose) for u, r in profile]
        share = [1 - w for w in _smooth(0.42, 0.66, [u for u, _ in profile])]
        centers = mesh.loft(rings, 10, (f"fore_{s}", f"arm_{s}"), share)
        mesh.paint(fit.sleeve(centers, float(low[2]), float(top[2])))
        x, y, z = low
        size = 0.105 * h
        hand = [
            (0.006, -1.0, 0.012, 0.006),
            (0.006, -0.8, 0.034, 0.015),
            (0.0, -0.45, 0.042, 0.018),
            (0.0, -0.1, 0.03, 0.02),
            (0.0, 0.06, 0.024, 0.02),
        ]
        mesh.loft(
            [(x + dx, y, z + dz * size, a, b) for dx, dz, a, b in hand],
            7,
            (f"hand_{s}", f"hand_{s}"),
            [0.0] * len(hand),
        )
        mesh.paint(fit.skin)
        top, low = rest[BONE[f"thigh_{s}"]], rest[BONE[f"foot_{s}"]]
        profile = [
            (0.0, 0.042),
            (0.08, 0.046),
            (0.22, 0.055),
            (0.33, 0.062),
            (0.42, 0.056),
            (0.48, 0.057),
            (0.54, 0.06),
            (0.66, 0.072),
            (0.82, 0.085),
            (0.95, 0.088),
            (1.03, 0.075),
        ]
        loose = build * (1.0 + fit.wide * 0.3)
        rings = [_at(low, top, u, r * loose) for u, r in profile]
        share = [1 - w for w in _smooth(0.38, 0.6, [u for u, _ in profile])]
        centers = mesh.loft(rings, 12, (f"shin_{s}", f"thigh_{s}"), share)
        mesh.paint(fit.leg(centers, float(low[2]), float(top[2])))
        _shoe(mesh, low, s, fit)


def _at(low: Floats, top: Floats, u: float, r: float) -> tuple[float, float, float, float, float]:
    """Return the ring at share `u` of the way from `low` to `top` with radius `r`."""
    x, y, z = low + (top - low) * u
    return float(x), float(y), float(z), r, r


def _shoe(mesh: Mesh, ankle: Floats, side: str, fit: Outfit) -> None:
    """Add a shoe from heel to toe."""
    x, y, z = ankle
    profile = [
        (-0.085, 0.012, 0.01, 0.03),
        (-0.075, 0.034, 0.035, 0.04),
        (-0.02, 0.042, 0.05, 0.052),
        (0.05, 0.046, 0.04, 0.04),
        (0.12, 0.048, 0.028, 0.03),
        (0.17, 0.036, 0.022, 0.024),
        (0.19, 0.01, 0.008, 0.02),
    ]
    rings = [(x + dx, y, max(z * 0.0 + up, 0.0), a, b) for dx, a, b, up in profile]
    centers = mesh.loft(rings, 8, (f"foot_{side}", f"foot_{side}"), [0.0] * len(rings), axis="x")
    mesh.paint(fit.shoe(centers))


def _landmarks(rest: Floats, h: float, size: float) -> tuple[Floats, Ints, Floats]:
    """Return COCO keypoints, their bones and how deep each lies in the flesh."""
    face = {
        "nose": (0.128, 0, -0.022),
        "left_eye": (0.095, 0.032, 0.016),
        "right_eye": (0.095, -0.032, 0.016),
        "left_ear": (-0.012, 0.087, 0.0),
        "right_ear": (-0.012, -0.087, 0.0),
    }
    joints = {
        "shoulder": ("arm", 0.13),
        "elbow": ("fore", 0.1),
        "wrist": ("hand", 0.08),
        "hip": ("thigh", 0.19),
        "knee": ("shin", 0.12),
        "ankle": ("foot", 0.1),
    }
    points, bones, depth = [], [], []
    for name in COCO_KEYPOINTS:
        if name in face:
            points.append(np.array(face[name]) * size + np.array([0.012, 0, 0.93 * h]))
            bones.append(BONE["head"])
            depth.append(0.03)
            continue
        side, joint = name.split("_")
        bone, flesh = joints[joint]
        index = BONE[f"{bone}_{side[0]}"]
        points.append(rest[index])
        bones.append(index)
        depth.append(flesh)
    return np.array(points), np.array(bones), np.array(depth)


def draw_height(rng: np.random.Generator) -> float:
    """Draw a stature between 1.48 and 1.95 m."""
    return float(np.clip(rng.normal(1.7, 0.09), 1.48, 1.95))


def draw_body(rng: np.random.Generator, height: float) -> Body:
    """Draw a person of a stature in meters: slim to heavy, with clothes."""
    h = height
    build = float(np.clip(rng.normal(1.02, 0.1), 0.84, 1.32))
    shoulder = h * rng.uniform(0.102, 0.118) * (0.6 + 0.4 * build)
    hip = h * rng.uniform(0.052, 0.06)
    size = rng.uniform(0.94, 1.06)
    rest = rest_origins(h, shoulder, hip)
    fit = draw_outfit(rng)
    mesh = Mesh()
    _torso(mesh, h, build, shoulder, hip, fit)
    _limbs(mesh, rest, h, build, fit)
    add_head(mesh, h, size, fit)
    if fit.skirt:
        rings = [
            (0.0, 0.0, z * h, a * build, b * build)
            for z, a, b in (
                (0.3, 0.19, 0.2),
                (0.36, 0.175, 0.19),
                (0.43, 0.15, 0.18),
                (0.5, 0.125, 0.172),
                (0.57, 0.112, 0.15),
                (0.6, 0.1, 0.13),
            )
        ]
        centers = mesh.loft(rings, 14, ("pelvis", "thigh_l"), [0.55, 0.5, 0.35, 0.15, 0.0, 0.0])
        _split_skirt(mesh, rings)
        mesh.paint(fit.trousers * np.ones((len(rings) - 1, centers.shape[1], 3)))
    radii = np.array([0.1, 0.1, 0.08] + [0.055, 0.045, 0.04] * 2 + [0.09, 0.06, 0.02] * 2)
    radii[:2] *= build
    points, bones, depth = _landmarks(rest, h, size)
    return Body(
        h,
        rest,
        radii,
        np.concatenate(mesh.vertices),
        np.array(mesh.bones),
        np.array(mesh.weight),
        np.concatenate(mesh.quads),
        np.concatenate(mesh.colors),
        np.concatenate(mesh.bias),
        points,
        bones,
        depth,
    )


def _split_skirt(mesh: Mesh, rings: list[Ring]) -> None:
    """Let the right half of the last tube follow the right thigh."""
    count = len(mesh.vertices[-1])
    for i, vertex in enumerate(mesh.vertices[-1]):
        if vertex[1] < 0:
            mesh.bones[len(mesh.bones) - count + i] = (BONE["pelvis"], BONE["thigh_r"])
