"""What a detector, a tracker and a pose network make of people: errors for simulated skeletons.

The sizes were measured on the demo's training videos, the demo's own networks against the ground
truth. Every chance and size is drawn anew per scene up to what `Disturbance` says, so that better
and worse networks than those are seen too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from vigil.demo.visibility import (
    LEAST_JOINTS,
    Bools,
    Floats,
    boxes_of,
    extent_of,
    hidden_joints,
    in_picture,
)
from vigil.demo.world.skeleton import tilt
from vigil.models.layouts import layout
from vigil.schema import JOINTS

# Face, shoulders, elbows, wrists, hips, knees, ankles: deviation upright, in body extents.
_LIMB_NOISE = np.repeat([0.022, 0.024, 0.039, 0.066, 0.021, 0.031, 0.043], [5, 2, 2, 2, 2, 2, 2])
_MIRROR = list(layout("coco").mirror)
_TOUCH_IOU = 0.2  # boxes of people who cross or fight overlap so much
_BREAK_OFFSET = 10  # a new identity is the old one plus this; scenes have fewer people


@dataclass(frozen=True)
class Disturbance:
    """How much goes wrong in one scene; 0 switches an error off.

    Attributes:
        noise: size of the joints' errors; 1 is as measured.
        lying: how many times larger they are on people who lie, and how they last.
        guessed: share of the joints outside the picture that get a place and a low score.
        mirror: share of seconds in which left and right are taken for each other for a while.
        lost_frame: share of frames in which a person in plain view is not found.
        covered: chance of losing somebody who is hidden by another.
        exchange: exchanges of identity per second in which two people touch in the picture.
        broken: chance per person of a new identity at some moment.
        fall: chance per person of a new identity at the moment of fastest change of shape.
        phantom: chance of a person who is none, standing still.
        double: chance per person of being tracked twice for a while.
    """

    noise: float = 1.6
    lying: float = 2.5
    guessed: float = 0.85
    mirror: float = 0.25
    lost_frame: float = 0.15
    covered: float = 0.8
    exchange: float = 0.6
    broken: float = 0.3
    fall: float = 0.35
    phantom: float = 0.35
    double: float = 0.1


@dataclass(frozen=True, eq=False)
class People:
    """Joints of everybody in a scene.

    Attributes:
        uv: (A, T, 17, 2) pixels.
        depth: (A, T) meters from the camera.
        seen: (A, T, 17) joints in the picture.
        score: (A, T, 17) in [0, 1]; all 0 where the person is not found.
        identity: (A, T) track ids.
    """

    uv: Floats
    depth: Floats
    seen: Bools
    score: Floats
    identity: NDArray[np.int64]


def disturb(
    uv: Floats,
    depth: Floats,
    size: tuple[int, int],
    fps: float,
    how: Disturbance,
    rng: np.random.Generator,
) -> People:
    """Make of true joints what the demo's networks would have found.

    Args:
        uv: (A, T, 17, 2) true pixels.
        depth: (A, T, 17) meters along the view; negative behind the camera.
        size: width and height of the picture.
        fps: frames per second.
        how: what goes wrong and how much.
        rng: source of every choice.
    """
    uv, seen = in_picture(uv, depth, size)
    far = depth.mean(-1)
    boxes = boxes_of(uv, seen)
    hidden = hidden_joints(uv, boxes, far)
    found = _found(seen, hidden, how, rng)
    identity = identities(uv, boxes, fps, how, rng)
    moved = _shake(uv, hidden | ~seen, boxes, fps, how, rng)
    score = _scores(seen, hidden, how, rng) * found[..., None]
    people = People(moved, far, seen, score, identity)
    return with_others(people, fps, size, how, rng)


def identities(
    uv: Floats, boxes: Floats, fps: float, how: Disturbance, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the (A, T) track ids that a tracker gives people.

    Args:
        uv: (A, T, 17, 2) true pixels.
        boxes: (A, T, 4) xyxy around them, see `boxes_of`.
        fps: frames per second.
        how: what goes wrong and how much.
        rng: source of every choice.
    """
    identity = np.repeat(np.arange(1, len(uv) + 1)[:, None], uv.shape[1], axis=1)
    _break(identity, uv, how, rng)
    _exchange(identity, boxes, fps, how, rng)
    return identity


def with_others(
    people: People, fps: float, size: tuple[int, int], how: Disturbance, rng: np.random.Generator
) -> People:
    """Return people and, beside them, those who are tracked twice and who are none.

    Args:
        people: as they are found.
        fps: frames per second.
        size: width and height of the picture.
        how: what goes wrong and how much.
        rng: source of every choice.
    """
    return _phantoms(_doubles(people, fps, how, rng), np.array(size), how, rng)


def lasting(shape: tuple[int, ...], keep: float, rng: np.random.Generator) -> Floats:
    """Return noise of unit deviation over (A, T, ...) that lasts: `keep` is its correlation."""
    values = rng.normal(0, 1, shape)
    fresh = np.sqrt(1 - keep**2)
    for t in range(1, shape[1]):
        values[:, t] = keep * values[:, t - 1] + fresh * values[:, t]
    return values


def _found(seen: Bools, hidden: Bools, how: Disturbance, rng: np.random.Generator) -> Bools:
    """Return (A, T) frames in which each person is found; losses last for a few frames."""
    enough = seen.sum(-1) >= LEAST_JOINTS
    share = (hidden & seen).sum(-1) / np.maximum(seen.sum(-1), 1)
    lost = rng.uniform(0, how.lost_frame, (len(seen), 1)) + how.covered * (share > 0.6)
    lost = lost + how.lost_frame * (seen.mean(-1) < 0.5)
    return np.asarray(enough & (ndtr(lasting(enough.shape, 0.9, rng)) >= lost), bool)


def _shake(
    uv: Floats, unsure: Bools, boxes: Floats, fps: float, how: Disturbance,
    rng: np.random.Generator,
) -> Floats:  # fmt: skip
    """Return the joints moved by errors that last, with left and right exchanged now and then."""
    people, frames = uv.shape[:2]
    extent = extent_of(boxes)[..., None, None]
    level = how.noise * rng.uniform(0.3, 1.0, (people, 1, 1, 1)) * _LIMB_NOISE[:, None]
    level = level * np.where(unsure, 2.0, 1.0)[..., None]
    noise = np.sqrt(0.7) * lasting(uv.shape, 0.85, rng) + np.sqrt(0.3) * rng.normal(0, 1, uv.shape)
    noise *= np.where(lasting(uv.shape[:3], 0.8, rng) > 1.6, 3.0, 1.0)[..., None]
    lying = tilt(uv)[..., None, None]
    slow = how.lying * lasting(uv.shape, 0.97, rng)
    moved = uv + level * extent * ((1 - lying) * noise + lying * slow)
    swapped = np.zeros((people, frames), bool)
    for person in range(people):
        for second in range(int(frames / fps) + 1):
            if rng.random() < how.mirror * rng.random():
                begin = int(second * fps)
                swapped[person, begin : begin + int(rng.integers(1, max(2, int(fps))))] = True
    mirrored: Floats = np.where(swapped[..., None, None], moved[:, :, _MIRROR], moved)
    return mirrored


def _scores(seen: Bools, hidden: Bools, how: Disturbance, rng: np.random.Generator) -> Floats:
    """Return (A, T, 17) scores: high in plain view, lower where hidden or outside."""
    mean = np.where(seen, np.where(hidden, 0.65, 0.88), 0.4)
    mean[..., 1:3] -= 0.25  # eyes
    spread = np.where(seen & ~hidden, 0.08, 0.15)
    drawn = mean + spread * lasting(seen.shape, 0.7, rng)
    guessed = rng.random((len(seen), 1, JOINTS)) < how.guessed
    return np.where(seen | guessed, np.clip(drawn, 0.11, 0.99), 0.0)


def _break(
    identity: NDArray[np.int64], uv: Floats, how: Disturbance, rng: np.random.Generator
) -> None:
    """Give people new identities at a random moment, and in the middle of a fall."""
    frames = uv.shape[1]
    lying = tilt(uv)
    change = np.abs(np.diff(lying, axis=1, prepend=lying[:, :1]))
    for person in range(len(uv)):
        if rng.random() < how.broken:
            identity[person, rng.integers(frames) :] += _BREAK_OFFSET
        if change[person].max() > 0 and rng.random() < how.fall:
            moment = int(change[person].argmax()) + int(rng.integers(-2, 7))
            identity[person, max(0, moment) :] += 2 * _BREAK_OFFSET


def _exchange(
    identity: NDArray[np.int64], boxes: Floats, fps: float, how: Disturbance,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Exchange the identities of two people whose boxes overlap, from then on."""
    people, frames = identity.shape
    rate = rng.uniform(0, how.exchange) / fps
    for one in range(people):
        for two in range(one + 1, people):
            touch = _iou(boxes[one], boxes[two]) > _TOUCH_IOU
            for moment in np.flatnonzero(touch & (rng.random(frames) < rate)):
                later = identity[[two, one], moment:]
                identity[[one, two], moment:] = later


def _iou(a: Floats, b: Floats) -> Floats:
    """Return the (T,) overlap of (T, 4) boxes with (T, 4) boxes."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.maximum(sides, 0).prod(-1)
    total = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1)
    return np.asarray(shared / np.maximum(total - shared, 1e-9), float)


def _doubles(people: People, fps: float, how: Disturbance, rng: np.random.Generator) -> People:
    """Add people who are tracked a second time for a while, with the same joints but shaken."""
    rows = [k for k in range(len(people.uv)) if rng.random() < how.double]
    if not rows:
        return people
    score = people.score[rows].copy()
    for row in range(len(rows)):
        begin = int(rng.integers(score.shape[1]))
        end = begin + int(rng.uniform(0.3, 3.0) * fps)
        score[row, :begin] = score[row, end:] = 0.0
    shaken = people.uv[rows] + rng.normal(0, 3.0, (len(rows), 1, JOINTS, 2))
    first = people.identity.max() + 1
    identity = np.repeat(np.arange(first, first + len(rows))[:, None], score.shape[1], axis=1)
    return _joined(people, rows, shaken, score, identity)


def _phantoms(people: People, limit: Floats, how: Disturbance, rng: np.random.Generator) -> People:
    """Add a chair or a coat taken for a person: a still body somewhere, now seen and now not."""
    if rng.random() >= how.phantom:
        return people
    frames = people.uv.shape[1]
    source, moment = int(rng.integers(len(people.uv))), int(rng.integers(frames))
    body = people.uv[source, moment]
    center = body.mean(0)
    placed = (body - center) * rng.uniform(0.4, 1.0, 2) + limit * rng.uniform(0.1, 0.9, 2)
    extent = float(np.ptp(placed, axis=0).max())
    uv = placed + 0.03 * extent * lasting((1, frames, JOINTS, 2), 0.6, rng)
    there = lasting((1, frames), 0.95, rng) > rng.uniform(-1, 1)
    score = np.clip(rng.normal(0.55, 0.15, (1, frames, JOINTS)), 0.11, 0.95) * there[..., None]
    identity = np.full((1, frames), people.identity.max() + 1)
    return _joined(people, [source], uv, score, identity)


def _joined(
    people: People, rows: list[int], uv: Floats, score: Floats, identity: NDArray[np.int64]
) -> People:
    """Return the people with others behind them who stand where those of `rows` do."""
    return People(
        np.concatenate([people.uv, uv]), np.concatenate([people.depth, people.depth[rows]]),
        np.concatenate([people.seen, people.seen[rows]]), np.concatenate([people.score, score]),
        np.concatenate([people.identity, identity]),
    )  # fmt: skip
