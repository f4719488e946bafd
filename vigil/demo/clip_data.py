"""Crops of synthetic scenes with what a person would say of them: what the demo CLIP learns from.

    python -m vigil.demo.clip_data --out DIR --scenes 600 --split train

Each scene is looked at a few times; every visible person, every pair of people close to each
other and the whole frame become crops. What they show is read from the scene's script: class,
action, colors of clothes, light. `crops.npz` holds `crops` (N, S, S, 3) uint8, `kind`, `label` and
`action` (N,) numbers of KINDS, LABELS and ACTIONS, `shirt` and `trousers` (N,) numbers of COLORS
(-1: no single person), `night` (N,) and `scene` (N,). Sentences are made of them at training time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vigil.demo.captions import ACTIONS, COLORS, KINDS, LABELS
from vigil.demo.images import scene_seeds
from vigil.demo.world.render import FrameTruth
from vigil.demo.world.scenes import Actor, Event, Scene, make_scene
from vigil.perception.crops import cut, near_pairs, square, union
from vigil.schema import atomic

SIZE: Final = 72  # a little more than the network sees, so that training may shift and zoom
LOOKS: Final = 7  # frames of a scene
SCENES_PER_ROOM: Final = 4
PAD: Final = 0.15
MIN_SIDE: Final = 48.0
PAIR_DISTANCE: Final = 0.25
_SEEN: Final = 0.35  # share of a person that must be visible
_LEAST_PX: Final = 24  # and the least height of the box
_JITTER: Final = 0.06  # of a box's size: a detector's boxes are not exact
_LOW_M: Final = 0.55  # a head below this is on the floor
_BENT_M: Final = 1.15  # and below this no longer upright
_UNSURE_S: Final = 0.4  # just before an assault begins
_WALKS, _RUNS = 0.35, 2.0  # meters per second

Row = dict[str, Any]


@dataclass(frozen=True)
class Doing:
    """What one person does at one moment: numbers of LABELS and of ACTIONS."""

    label: int
    action: int


def observe(scene: Scene, actor: Actor, time_s: float) -> Doing | None:
    """Say what a person does; None where a careful observer would not decide.

    Args:
        scene: where.
        actor: one of its people.
        time_s: when.
    """
    times = np.array([max(time_s - 0.2, 0.0), time_s, time_s + 0.2])
    points = actor.body.keypoints(actor.frames(times))
    head = float(points[1, :5, 2].mean())
    hips = points[:, 11:13, :2].mean(axis=1)
    speed = float(np.linalg.norm(hips[2] - hips[0])) / float(times[2] - times[0])
    for event in scene.events:
        if actor.track_id not in event.person_ids:
            continue
        if event.start_s <= time_s <= event.end_s and event.behavior not in {"walk", "stand"}:
            return _in_event(event, actor.track_id, head)
        if event.label == "assault" and abs(time_s - event.start_s) < _UNSURE_S:
            return None
    if head < _BENT_M:
        return _doing("normal", "on_floor" if head < 0.9 else "bend")
    if speed > _RUNS:
        return _doing("normal", "run")
    return _doing("normal", "walk" if speed > _WALKS else "stand")


def _in_event(event: Event, who: int, head: float) -> Doing | None:
    """Say what a person does who takes part in an event, head at `head` meters."""
    if event.label == "faint":
        if head > _BENT_M:
            return None  # reeling, not yet fallen
        return _doing("faint", "lie" if head < _LOW_M else "collapse")
    if event.label == "assault":
        return _doing("assault", event.behavior if who == event.person_ids[0] else "victim")
    if event.behavior == "help_up" and who == event.person_ids[1]:
        return _doing("normal", "on_floor" if head < _BENT_M else "help_up")
    return _doing("normal", event.behavior)


def _doing(label: str, action: str) -> Doing:
    return Doing(LABELS.index(label), ACTIONS.index(action))


def look(scene: Scene, frame: int, rng: np.random.Generator) -> list[Row]:
    """Render a frame and return its crops with what they show.

    Args:
        scene: what is looked at.
        frame: its number.
        rng: moves the boxes a little.
    """
    image, truth = scene.render(frame)
    actors = {actor.track_id: actor for actor in scene.actors}
    boxes = truth.boxes.astype(np.float32)
    tall = boxes[:, 3] - boxes[:, 1] if len(boxes) else np.zeros(0)
    seen = np.flatnonzero((truth.visible_fraction >= _SEEN) & (tall >= _LEAST_PX))
    doing = {
        int(i): observe(scene, actors[int(truth.track_ids[i])], frame / scene.fps) for i in seen
    }
    rows = [
        _row(scene, image, "person", boxes[i : i + 1], what, rng, _clothes(image, truth, i))
        for i, what in doing.items()
        if what is not None
    ]
    for i, j in seen[near_pairs(boxes[seen], PAIR_DISTANCE)].tolist():
        together = _together(scene, truth, doing, (i, j), frame)
        if together is not None:
            box = union(boxes, np.array([[i, j]]))
            rows.append(_row(scene, image, "pair", box, together, rng))
    known = [what for what in doing.values() if what is not None]
    if len(known) == len(truth.track_ids):
        height, width = image.shape[:2]
        main = max(known, key=lambda what: (what.label > 0, what.action), default=None)
        everything = np.array([[0, 0, width, height]], dtype=np.float32)
        what = main or _doing("normal", "nobody")
        rows.append(_row(scene, image, "frame", everything, what, rng))
    return rows


def _together(
    scene: Scene, truth: FrameTruth, doing: dict[int, Doing | None], pair: tuple[int, int],
    frame: int,
) -> Doing | None:  # fmt: skip
    """Say what two people do together; None where one of them is undecided."""
    one, two = doing[pair[0]], doing[pair[1]]
    if one is None or two is None:
        return None
    ids = {int(truth.track_ids[i]) for i in pair}
    time_s = frame / scene.fps
    for event in scene.events:
        if set(event.person_ids) == ids and event.start_s <= time_s <= event.end_s:
            return _doing(event.label, event.behavior)
    return max(one, two, key=lambda what: (what.label > 0, what.action))


def _row(
    scene: Scene, image: NDArray[np.uint8], kind: str, box: NDArray[np.float32], what: Doing,
    rng: np.random.Generator, clothes: tuple[int, int] = (-1, -1),
) -> Row:  # fmt: skip
    """Return one crop and what it shows."""
    if kind == "frame":
        region = square(box, 0.0, 0.0)
    else:
        sides = np.tile(box[:, 2:] - box[:, :2], 2)
        moved = (box + rng.normal(0, _JITTER, (1, 4)) * sides).astype(np.float32)
        low, high = np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])
        region = square(np.concatenate([low, high], axis=1), PAD, MIN_SIDE)
    return {"crops": cut(image, region[0], SIZE, "edge"), "kind": KINDS.index(kind),
            "label": what.label, "action": what.action, "shirt": clothes[0],
            "trousers": clothes[1], "night": int(scene.room.infrared)}  # fmt: skip


def _clothes(image: NDArray[np.uint8], truth: FrameTruth, person: int) -> tuple[int, int]:
    """Name the colors of a person's shirt and trousers as they look in the picture, or -1."""
    points = truth.keypoints[person]
    visible = truth.visibility[person] == 2
    shirt = points[[5, 6, 11, 12]].mean(axis=0) if visible[[5, 6, 11, 12]].all() else None
    knees = points[[11, 12, 13, 14]].mean(axis=0) if visible[[11, 12, 13, 14]].all() else None
    return _color(image, truth.masks[person], shirt), _color(image, truth.masks[person], knees)


def _color(image: NDArray[np.uint8], mask: NDArray[np.bool_], point: NDArray[Any] | None) -> int:
    """Return the number of the named color nearest to the median around a point, or -1."""
    if point is None:
        return -1
    x, y = np.round(point).astype(int)
    window = (slice(max(y - 4, 0), y + 5), slice(max(x - 4, 0), x + 5))
    pixels = image[window][mask[window]]
    if len(pixels) < 12:
        return -1
    median = np.median(pixels, axis=0)
    names = np.array(list(COLORS.values()), dtype=np.float64)
    return int(np.abs(names - median).sum(axis=1).argmin())


_LAST: list[Scene] = []  # the worker's last scene, whose drawn room the next one may share


def make_rows(scene_seed: int) -> list[Row]:
    """Look at one scene and return all its crops; `scene` is its seed."""
    room = scene_seed - scene_seed % SCENES_PER_ROOM
    rng = np.random.default_rng([scene_seed, 31])
    scene = make_scene(scene_seed, scene_seed=room, camera_seed=room)
    if _LAST:
        scene.share_backdrop(_LAST[0])
    _LAST[:] = [scene]
    edges = np.linspace(0, scene.n_frames, LOOKS + 1)
    frames = [int(rng.integers(int(a), max(int(b), int(a) + 1)))
              for a, b in pairwise(edges)]  # fmt: skip
    return [row | {"scene": scene_seed} for frame in frames for row in look(scene, frame, rng)]


def make_crops(
    out: Path, n_scenes: int, seed: int, split: str, workers: int | None = None, first: int = 0
) -> Path:
    """Look at many scenes and write `crops.npz` into `out`; return its path.

    Args:
        out: folder, made where it is missing.
        n_scenes: how many scenes.
        seed: part of the split's seeds, 0 to 99.
        split: train, val or test; splits never share a scene.
        workers: processes; all cores when None.
        first: scenes of the split to pass over.
    """
    out.mkdir(parents=True, exist_ok=True)
    seeds = scene_seeds(split, seed, first + n_scenes)[first:]
    count = workers or os.cpu_count() or 1
    if count <= 1:
        found = [row for scene in seeds for row in make_rows(scene)]
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, context, initializer=_one_thread) as pool:
            found = [row for rows in pool.map(make_rows, seeds, chunksize=4)
                     for row in rows]  # fmt: skip
    names = ("crops", "kind", "label", "action", "shirt", "trousers", "night", "scene")
    columns = {name: np.array([row[name] for row in found]) for name in names}
    path = out / "crops.npz"
    with atomic(path) as partial_path, partial_path.open("wb") as file:
        np.savez(file, **columns)
    return path


def _one_thread() -> None:
    """Keep OpenCV in a worker to one thread."""
    import cv2

    cv2.setNumThreads(1)


def main() -> None:
    """Read the command line and make the crops."""
    parser = argparse.ArgumentParser(description="make captioned crops of synthetic scenes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="scenes to pass over")
    parser.add_argument("--workers", type=int, default=None)
    args = parser.parse_args()
    make_crops(args.out, args.scenes, args.seed, args.split, args.workers, args.first)


if __name__ == "__main__":
    main()
