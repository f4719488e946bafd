"""Bones and forward kinematics.

The body frame has x forward, y left, z up. Each bone is a rigid frame; a pose is a row of
channels (angles in degrees, positions in meters) that `pose_bones` turns into bone frames. The
pelvis height is never authored: the lowest point of the body rests on the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BONES = (
    "pelvis", "chest", "head", "arm_l", "fore_l", "hand_l", "arm_r", "fore_r", "hand_r",
    "thigh_l", "shin_l", "foot_l", "thigh_r", "shin_r", "foot_r",
)  # fmt: skip
BONE = {name: i for i, name in enumerate(BONES)}

CHANNELS = (
    "x", "y", "yaw", "pitch", "roll", "spine", "side", "twist", "head_p", "head_y", "head_r",
    "sh_f_l", "sh_a_l", "sh_r_l", "el_l", "sh_f_r", "sh_a_r", "sh_r_r", "el_r", "hip_f_l",
    "hip_a_l", "kn_l", "an_l", "hip_f_r", "hip_a_r", "kn_r", "an_r", "ik_l", "tx_l", "ty_l",
    "tz_l", "ik_r", "tx_r", "ty_r", "tz_r",
)  # fmt: skip
CHANNEL = {name: i for i, name in enumerate(CHANNELS)}

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
_LYING_DEG = (35.0, 75.0)  # the torso's tilt in the picture where lying begins and is complete


@dataclass(frozen=True)
class Frame:
    """Posed bones: `rotation` (T, 15, 3, 3) body to world, `origin` (T, 15, 3) meters."""

    rotation: Floats
    origin: Floats


def rest_origins(height: float, shoulder: float, hip: float) -> Floats:
    """Return the (15, 3) bone origins in meters of a body standing with hanging arms.

    `height` is the stature, `shoulder` and `hip` are half widths between the joints, in meters.
    """
    h = height
    side = {"l": 1.0, "r": -1.0}
    at: dict[str, tuple[float, float, float]] = {
        "pelvis": (0, 0, 0.53 * h),
        "chest": (0, 0, 0.62 * h),
        "head": (0, 0, 0.855 * h),
    }
    for s, sign in side.items():
        at[f"arm_{s}"] = (0, sign * shoulder, 0.808 * h)
        at[f"fore_{s}"] = (0, sign * (shoulder + 0.012), 0.635 * h)
        at[f"hand_{s}"] = (0, sign * (shoulder + 0.016), 0.488 * h)
        at[f"thigh_{s}"] = (0, sign * hip, 0.515 * h)
        at[f"shin_{s}"] = (0, sign * hip, 0.285 * h)
        at[f"foot_{s}"] = (-0.01, sign * hip, 0.046 * h)
    return np.array([at[b] for b in BONES])


def _rot(axis: int, angle: Floats) -> Floats:
    """Return (T, 3, 3) rotations by (T,) radians about a coordinate axis."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.zeros((len(angle), 3, 3))
    out[:, axis, axis] = 1
    out[:, i, i] = c
    out[:, j, j] = c
    out[:, i, j] = -s
    out[:, j, i] = s
    return out


def _reach(shoulder: Floats, elbow: Floats, target: Floats, upper: float, lower: float) -> Floats:
    """Return the (T, 3) elbow of a two-bone arm whose wrist goes toward (T, 3) `target`."""
    axis = target - shoulder
    distance = np.linalg.norm(axis, axis=1, keepdims=True)
    unit = axis / np.maximum(distance, 1e-6)
    d = np.clip(distance, abs(upper - lower) + 0.02, upper + lower - 1e-3)
    along = (upper**2 - lower**2 + d**2) / (2 * d)
    out = np.sqrt(np.maximum(upper**2 - along**2, 1e-6))
    pole = elbow - shoulder + np.array([0, 0, -0.1])
    pole = pole - (pole * unit).sum(1, keepdims=True) * unit
    pole = pole / np.maximum(np.linalg.norm(pole, axis=1, keepdims=True), 1e-6)
    return np.asarray(shoulder + unit * along + pole * out)


def _aim(rotation: Floats, down: Floats) -> Floats:
    """Turn (T, 3, 3) frames so that their -z axis points along (T, 3) `down`, keeping x near."""
    z = -down / np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-6)
    y = np.cross(z, rotation[:, :, 0])
    y /= np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-6)
    return np.stack([np.cross(y, z), y, z], axis=2)


def pose_bones(pose: Floats, rest: Floats, radii: Floats) -> Frame:
    """Pose a skeleton.

    Args:
        pose: (T, C) rows of `CHANNELS`.
        rest: (15, 3) bone origins from `rest_origins`.
        radii: (15,) how far the flesh at each origin reaches, in meters, for floor contact.
    """
    n = len(pose)
    a = np.deg2rad(pose)

    def ch(name: str) -> Floats:
        return np.asarray(a[:, CHANNEL[name]])

    rotation = np.empty((n, len(BONES), 3, 3))
    origin = np.zeros((n, len(BONES), 3))

    def attach(name: str, parent: str, local: Floats) -> None:
        i, j = BONE[name], BONE[parent]
        rotation[:, i] = rotation[:, j] @ local
        origin[:, i] = origin[:, j] + rotation[:, j] @ (rest[i] - rest[j])

    rotation[:, 0] = _rot(2, ch("yaw")) @ _rot(1, ch("pitch")) @ _rot(0, ch("roll"))
    attach("chest", "pelvis", _rot(2, ch("twist")) @ _rot(1, ch("spine")) @ _rot(0, ch("side")))
    attach("head", "chest", _rot(2, ch("head_y")) @ _rot(1, ch("head_p")) @ _rot(0, ch("head_r")))
    for s, sign in (("l", 1.0), ("r", -1.0)):
        arm = _rot(1, -ch(f"sh_f_{s}")) @ _rot(0, sign * ch(f"sh_a_{s}"))
        attach(f"arm_{s}", "chest", arm @ _rot(2, -sign * ch(f"sh_r_{s}")))
        attach(f"fore_{s}", f"arm_{s}", _rot(1, -ch(f"el_{s}")))
        attach(f"hand_{s}", f"fore_{s}", _rot(1, -0.25 * ch(f"el_{s}")))
        leg = _rot(1, -ch(f"hip_f_{s}")) @ _rot(0, sign * ch(f"hip_a_{s}"))
        attach(f"thigh_{s}", "pelvis", leg)
        attach(f"shin_{s}", f"thigh_{s}", _rot(1, ch(f"kn_{s}")))
        attach(f"foot_{s}", f"shin_{s}", _rot(1, ch(f"an_{s}")))
    _settle(pose, rest, radii, rotation, origin)
    _reach_hands(pose, rest, rotation, origin)
    return Frame(rotation, origin)


def _settle(pose: Floats, rest: Floats, radii: Floats, rotation: Floats, origin: Floats) -> None:
    """Move the pelvis so that the lowest point touches the floor and x, y are as asked."""
    low = (origin[:, :, 2] - radii).min(axis=1)
    for s in "lr":
        i = BONE[f"foot_{s}"]
        drop = rest[i, 2]
        for toe in (0.17, -0.05):
            point = origin[:, i] + rotation[:, i] @ np.array([toe, 0.0, -drop])
            low = np.minimum(low, point[:, 2])
    crown = origin[:, 2] + rotation[:, 2] @ np.array([0.01, 0.0, 0.14])
    low = np.minimum(low, crown[:, 2] - 0.09)
    origin[:, :, 2] -= low[:, None]
    origin[:, :, 0] += pose[:, [CHANNEL["x"]]]
    origin[:, :, 1] += pose[:, [CHANNEL["y"]]]


def _reach_hands(pose: Floats, rest: Floats, rotation: Floats, origin: Floats) -> None:
    """Pull the wrists toward their world targets by the weight of the `ik_*` channels."""
    for s in "lr":
        weight = np.clip(pose[:, [CHANNEL[f"ik_{s}"]]], 0, 1)
        if weight.max() < 1e-3:
            continue
        i, j, k = BONE[f"arm_{s}"], BONE[f"fore_{s}"], BONE[f"hand_{s}"]
        target = pose[:, [CHANNEL[f"t{c}_{s}"] for c in "xyz"]]
        goal = origin[:, k] + weight * (target - origin[:, k])
        upper = float(np.linalg.norm(rest[j] - rest[i]))
        lower = float(np.linalg.norm(rest[k] - rest[j]))
        elbow = _reach(origin[:, i], origin[:, j], goal, upper, lower)
        rotation[:, i] = _aim(rotation[:, i], elbow - origin[:, i])
        origin[:, j] = elbow
        rotation[:, j] = _aim(rotation[:, j], goal - elbow)
        origin[:, k] = elbow + rotation[:, j] @ (rest[k] - rest[j])
        rotation[:, k] = rotation[:, j]


def tilt(uv: Floats) -> Floats:
    """Return (A, T) how much people lie in the picture, 0 upright to 1, of (A, T, 17, 2) joints."""
    torso = uv[:, :, 5:7].mean(2) - uv[:, :, 11:13].mean(2)
    angle = np.degrees(np.arctan2(np.abs(torso[..., 0]), -torso[..., 1]))
    low, high = _LYING_DEG
    return np.asarray(np.clip((angle - low) / (high - low), 0, 1), float)
