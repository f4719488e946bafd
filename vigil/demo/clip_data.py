"""Crops of synthetic scenes with what a person would say of them: what the demo CLIP learns from.

    python -m vigil.demo.clip_data --out DIR --scenes 600 --split train [--every 0.2]

Each scene is looked at a few times, or every so many seconds; every visible person, every pair of
people close to each other and the whole frame become crops. What they show is read from the
scene's script. `crops.npz` holds, N rows each: `crops` (N, S, S, 3) uint8; `kind`, `label` and
`action`, numbers of KINDS, LABELS and ACTIONS, the last two -1 where a careful observer would not
decide; `shirt` and `trousers`, numbers of COLORS (-1: no single person); `night`; `scene` and
`time_s`; `track` (N, 2), who is in it; `shown`, the class of the event they take part in; `joints`
(N, 2, 17, 2), -1 to 1 across the crop, and `visible` (N, 2, 17), of at most two people, the left
one first. Sentences are made of them at training time.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.captions import COLORS, KINDS
from vigil.demo.doings import Doing, doing_of, observe, shown, together
from vigil.demo.images import scene_seeds
from vigil.demo.world.render import FrameTruth
from vigil.demo.world.scenes import Scene, make_scene
from vigil.perception.crops import cut, near_pairs, square
from vigil.schema import JOINTS, atomic
from vigil.sequences import UNKNOWN
from vigil.workers import worker_pool

SIZE: Final = 72  # a little more than the network sees, so that training may shift and zoom
LOOKS: Final = 7  # frames of a scene
SCENES_PER_ROOM: Final = 4
PAD: Final = 0.15
MIN_SIDE: Final = 48.0
PAIR_DISTANCE: Final = 0.25
_SEEN: Final = 0.25  # share of a person that must be visible
_LEAST_PX: Final = 24  # and the least height of the box
_UNTOUCHED: Final = 0.3  # share of pictures that are not compressed
_QUALITY: Final = (35, 85)  # of JPEG, for the others
_JITTER: Final = 0.04  # of a box's size: a detector's boxes are not exact

Row = dict[str, Any]


def look(scene: Scene, frame: int, rng: np.random.Generator) -> list[Row]:
    """Render a frame and return its crops with what they show.

    Args:
        scene: what is looked at.
        frame: its number.
        rng: moves the boxes a little, and compresses the picture as a camera would.
    """
    image, truth = scene.render(frame)
    image = _compressed(image, rng)
    actors = {actor.track_id: actor for actor in scene.actors}
    boxes = truth.boxes.astype(np.float32)
    wide = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) if len(boxes) else np.zeros(0)
    seen = np.flatnonzero((truth.visible_fraction >= _SEEN) & (wide >= _LEAST_PX))
    view = _View(scene, frame, image, truth)
    doing = {
        int(i): observe(scene, actors[int(truth.track_ids[i])], frame / scene.fps) for i in seen
    }
    rows = [
        _row(view, "person", (i,), what, rng, _clothes(image, truth, i))
        for i, what in doing.items()
    ]
    for i, j in seen[near_pairs(boxes[seen], PAIR_DISTANCE)].tolist():
        rows.append(_row(view, "pair", (i, j), _pair(view, doing, (i, j)), rng))
    known = [what for what in doing.values() if what is not None]
    main = max(known, key=lambda what: (what.label > 0, what.action), default=None)
    sure = len(known) == len(truth.track_ids)
    rows.append(
        _row(view, "frame", (), (main or doing_of("normal", "nobody")) if sure else None, rng)
    )
    return rows


@dataclass(frozen=True)
class _View:
    """One frame: its scene, number, picture and truth."""

    scene: Scene
    frame: int
    image: NDArray[np.uint8]
    truth: FrameTruth

    @property
    def time_s(self) -> float:
        """When it is."""
        return self.frame / self.scene.fps


def _pair(view: _View, doing: dict[int, Doing | None], pair: tuple[int, int]) -> Doing | None:
    """Say what two people, by their places in the truth, do together."""
    one, two = (int(view.truth.track_ids[i]) for i in pair)
    return together(view.scene, (one, two), (doing[pair[0]], doing[pair[1]]), view.time_s)


def _row(
    view: _View, kind: str, people: tuple[int, ...], what: Doing | None, rng: np.random.Generator,
    clothes: tuple[int, int] = (-1, -1),
) -> Row:  # fmt: skip
    """Return one crop and what it shows; label and action are -1 where that is undecided."""
    height, width = view.image.shape[:2]
    if not people:
        region = square(np.array([[0, 0, width, height]], dtype=np.float32), 0.0, 0.0)[0]
    else:
        own = view.truth.boxes[list(people)].astype(np.float32)
        sides = np.tile(own[:, 2:] - own[:, :2], 2)
        moved = (own + rng.normal(0, _JITTER, own.shape) * sides).astype(np.float32)
        box = np.concatenate([np.minimum(moved[:, :2], moved[:, 2:]).min(0),
                              np.maximum(moved[:, :2], moved[:, 2:]).max(0)])[None]  # fmt: skip
        region = square(box, PAD, MIN_SIDE)[0]
    ids = [int(view.truth.track_ids[i]) for i in people]
    joints, visible = _joints(view.truth, people, region)
    return {"crops": cut(view.image, region, SIZE, "edge"), "kind": KINDS.index(kind),
            "label": what.label if what else UNKNOWN, "action": what.action if what else UNKNOWN,
            "shirt": clothes[0], "trousers": clothes[1], "night": int(view.scene.room.infrared),
            "time_s": view.time_s, "track": (*ids, -1, -1)[:2],
            "shown": shown(view.scene, ids, view.time_s), "joints": joints,
            "visible": visible}  # fmt: skip


def _joints(
    truth: FrameTruth, people: tuple[int, ...], region: NDArray[np.float32]
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    """Return where the joints of at most two people lie, the left one first.

    Returns:
        (2, 17, 2) float16, -1 to 1 across the crop, and (2, 17) uint8: 1 where a joint lies in it.
    """
    points, there = np.zeros((2, JOINTS, 2), np.float16), np.zeros((2, JOINTS), np.uint8)
    middle, half = (region[:2] + region[2:]) / 2, (region[2] - region[0]) / 2
    order = sorted(people, key=lambda i: float(truth.boxes[i, 0] + truth.boxes[i, 2]))
    for place, i in enumerate(order):
        within = (truth.keypoints[i] - middle) / half
        there[place] = (np.abs(within) < 1.0).all(axis=1) & (truth.visibility[i] > 0)
        points[place] = np.clip(within, -2, 2)
    return points, there


def _compressed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture with the losses of a compressed video, often."""
    if rng.random() < _UNTOUCHED:
        return image
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*_QUALITY))]
    coded = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


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


def make_rows(scene_seed: int, every_s: float = 0.0) -> list[Row]:
    """Look at one scene and return all its crops; `scene` is its seed.

    Args:
        scene_seed: of the scene.
        every_s: seconds from one look to the next; 0: a few looks at random moments.
    """
    room = scene_seed - scene_seed % SCENES_PER_ROOM
    rng = np.random.default_rng([scene_seed, 31])
    scene = make_scene(scene_seed, scene_seed=room, camera_seed=room)
    if _LAST:
        scene.share_backdrop(_LAST[0])
    _LAST[:] = [scene]
    if every_s:
        times = np.arange(0, scene.n_frames / scene.fps - 1e-6, every_s)
        frames = np.ceil(times * scene.fps - 1e-6).astype(int).tolist()
    else:
        edges = np.linspace(0, scene.n_frames, LOOKS + 1)
        frames = [int(rng.integers(int(a), max(int(b), int(a) + 1)))
                  for a, b in pairwise(edges)]  # fmt: skip
    return [row | {"scene": scene_seed} for frame in frames if frame < scene.n_frames
            for row in look(scene, frame, rng)]  # fmt: skip


def make_crops(
    out: Path, n_scenes: int, seed: int, split: str, workers: int | None = None, first: int = 0,
    every_s: float = 0.0,
) -> Path:  # fmt: skip
    """Look at many scenes and write `crops.npz` into `out`; return its path.

    Args:
        out: folder, made where it is missing.
        n_scenes: how many scenes.
        seed: part of the split's seeds, 0 to 99.
        split: train, val or test; splits never share a scene.
        workers: processes; all cores when None.
        first: scenes of the split to pass over.
        every_s: see `make_rows`.
    """
    out.mkdir(parents=True, exist_ok=True)
    seeds = scene_seeds(split, seed, first + n_scenes)[first:]
    count = workers or os.cpu_count() or 1
    if count <= 1:
        found = [row for scene in seeds for row in make_rows(scene, every_s)]
    else:
        with worker_pool(count) as running:
            work = partial(make_rows, every_s=every_s)
            found = [row for rows in running.map(work, seeds, chunksize=4) for row in rows]
    names = list(found[0])
    columns = {name: np.array([row[name] for row in found]) for name in names}
    path = out / "crops.npz"
    with atomic(path) as partial_path, partial_path.open("wb") as file:
        np.savez(file, **columns)
    return path


def main() -> None:
    """Read the command line and make the crops."""
    parser = argparse.ArgumentParser(description="make captioned crops of synthetic scenes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--split", choices=("train", "val", "test"), default="train")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="scenes to pass over")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between looks")
    parser.add_argument("--workers", type=int, default=None)
    args = parser.parse_args()
    make_crops(args.out, args.scenes, args.seed, args.split, args.workers, args.first, args.every)


if __name__ == "__main__":
    main()
