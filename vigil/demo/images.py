"""Training images for the demo networks: single frames of many scenes, annotated like COCO.

    python -m vigil.demo.images --out DIR --n 6000 --split train --seed 1

Train, val and the demo footage use disjoint ranges of scene seeds, so that no room, person or
motion of one appears in another.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.demo.annotations import CATEGORY, coco_annotations
from vigil.demo.world.behaviors import ASSAULT, FAINT
from vigil.demo.world.scenes import FrameTruth, Scene, make_scene, room_of
from vigil.demo.world.skeleton import tilt
from vigil.workers import worker_pool

SPLITS = {"train": 1, "val": 2, "test": 3, "footage": 4}
_SPAN = 100_000_000
_BLOCK = 1_000_000  # seeds of one part of a split
_FALLING, _INSIDE = 0.3, 0.5  # least tilt, and share of the joints that lie in the picture
_ACTS = ("talk", "wave", "bend", "hug", "help_up", *ASSAULT)  # what hands do while upright
IMAGES_PER_ROOM = 4  # people and motion differ in every image, the room and camera in every fourth


@dataclass(frozen=True)
class Shares:
    """How often an image shows more than chance would have it, each from 0 to 1.

    Attributes:
        falls: somebody falls in the scene, and lies or is about to on the frame.
        acts: of the others, hands are busy on the frame: people talk, hug, strike, ...
        night: the room is seen by infrared light (else: 22 rooms of 100).
    """

    falls: float = 0.0
    acts: float = 0.0
    night: float = 0.0


def scene_seeds(split: str, seed: int, n: int) -> list[int]:
    """Return `n` scene seeds of a split; splits never share one.

    Raises:
        ValueError: the split is unknown or the range is too small.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    if n > _BLOCK or not 0 <= seed < _SPAN // _BLOCK:
        raise ValueError(f"seeds: expected n <= {_BLOCK} and 0 <= seed < 100, got {n} and {seed}")
    return [SPLITS[split] * _SPAN + seed * _BLOCK + i for i in range(n)]


_LAST: list[Scene] = []  # the worker's last scene, whose drawn room the next one may share


def make_image(
    scene_seed: int, image_id: int, folder: Path, shares: Shares = Shares()
) -> dict[str, Any]:
    """Render a random frame of a scene to `folder`; return its COCO image and annotations.

    Args:
        scene_seed: of the scene.
        image_id: its number.
        folder: where to.
        shares: what it shall show more often than by chance.
    """
    import cv2

    image, truth, quality = draw(scene_seed, shares)
    name = f"{scene_seed:09d}.jpg"
    cv2.imwrite(str(folder / name), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    height, width = image.shape[:2]
    record = {"id": image_id, "file_name": name, "width": width, "height": height}
    return {"image": record, "annotations": coco_annotations(truth, image_id)}


def draw(scene_seed: int, shares: Shares = Shares()) -> tuple[NDArray[np.uint8], FrameTruth, int]:
    """Draw a random frame of a scene.

    Args:
        scene_seed: of the scene.
        shares: what it shall show more often than by chance.

    Returns:
        The frame (H, W, 3) uint8 RGB, its ground truth, and the quality to code it with as JPEG.
    """
    camera_seed = scene_seed - scene_seed % IMAGES_PER_ROOM
    room_seed = _room_seed(camera_seed, shares.night)
    rng = np.random.default_rng([scene_seed, 9])
    chance = np.random.default_rng([scene_seed, 10])
    behavior = str(chance.choice(FAINT)) if chance.random() < shares.falls else None
    if behavior is None and chance.random() < shares.acts:
        behavior = str(chance.choice(_ACTS))
    scene = make_scene(scene_seed, behavior, scene_seed=room_seed, camera_seed=camera_seed)
    if _LAST:
        scene.share_backdrop(_LAST[0])
    _LAST[:] = [scene]
    moments = np.arange(scene.n_frames)
    if behavior is not None:
        moments = _fallen(scene) if behavior in FAINT else _busy(scene)
    image, truth = scene.render(int(rng.choice(moments)))
    for _ in range(3):
        if len(truth.track_ids) or rng.random() < 0.1:
            break
        image, truth = scene.render(int(rng.choice(moments)))
    return image, truth, int(rng.integers(55, 95))


def _room_seed(first: int, night: float) -> int:
    """Return a room's seed: `first`, or with the chance `night` the next one that is infrared.

    After the last room of a part comes its first, so that no room of another split is used.
    """
    block, place = divmod(first, _BLOCK)
    if np.random.default_rng([first, 11]).random() < night:
        while not room_of(block * _BLOCK + place).infrared:
            place = (place + IMAGES_PER_ROOM) % _BLOCK
    return block * _BLOCK + place


def _fallen(scene: Scene) -> NDArray[np.intp]:
    """Return the frames on which somebody in the picture lies or is about to; all if none does."""
    uv, depth = scene.joints()
    inside = ((depth > 0) & (uv >= 0).all(-1) & (uv < (scene.width, scene.height)).all(-1)).mean(-1)
    found = np.flatnonzero(((tilt(uv) > _FALLING) & (inside > _INSIDE)).any(0))
    return found if len(found) else np.arange(scene.n_frames)


def _busy(scene: Scene) -> NDArray[np.intp]:
    """Return the frames on which the scene's main event goes on; all if it is too short for one."""
    times, event = np.arange(scene.n_frames) / scene.fps, scene.events[0]
    found = np.flatnonzero((times >= event.start_s) & (times <= event.end_s))
    return found if len(found) else np.arange(scene.n_frames)


def _make_numbered(task: tuple[int, int], folder: Path, shares: Shares) -> dict[str, Any]:
    """Unpack (image id, scene seed) for a worker."""
    return make_image(task[1], task[0], folder, shares)


def make_images(
    out_dir: Path | str, n_images: int, seed: int, split: str, workers: int | None = None,
    shares: Shares = Shares(),
) -> Path:  # fmt: skip
    """Write `images/*.jpg` and `annotations.json` (COCO with keypoints and masks).

    Persons hardly visible are marked `iscrowd=1`. Images that already exist are rendered again.

    Args:
        out_dir: folder to write to.
        n_images: how many images, each of another scene.
        seed: which part of the split, 0 to 99.
        split: train, val, test or footage.
        workers: processes; all cores when None.
        shares: see `make_image`.

    Returns:
        The path of `annotations.json`.
    """
    out = Path(out_dir)
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = list(enumerate(scene_seeds(split, seed, n_images), start=1))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in _run(tasks, folder, workers or os.cpu_count() or 1, shares):
        images.append(row["image"])
        for annotation in row["annotations"]:
            annotations.append({"id": len(annotations) + 1, **annotation})
    document = {
        "info": {"description": f"vigil synthetic scenes, split {split}, seed {seed}"},
        "images": images,
        "annotations": annotations,
        "categories": [CATEGORY],
    }
    path = out / "annotations.json"
    partial_path = path.with_suffix(".tmp")
    partial_path.write_text(json.dumps(document))
    partial_path.replace(path)
    return path


def _run(
    tasks: list[tuple[int, int]], folder: Path, workers: int, shares: Shares
) -> Iterator[dict[str, Any]]:
    """Make the images, in order."""
    work = partial(_make_numbered, folder=folder, shares=shares)
    if workers <= 1:
        yield from map(work, tasks)
        return
    with worker_pool(workers) as running:
        yield from running.map(work, tasks, chunksize=8)


def main() -> None:
    """Read the command line and make the images."""
    parser = argparse.ArgumentParser(description="make annotated synthetic images")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--split", choices=sorted(SPLITS), default="train")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--falls", type=float, default=0.0, help="share in which somebody falls")
    parser.add_argument("--acts", type=float, default=0.0,
                        help="share of the others in which hands are busy")  # fmt: skip
    parser.add_argument("--night", type=float, default=0.0,
                        help="share of rooms seen by infrared light, beyond chance")  # fmt: skip
    args = parser.parse_args()
    shares = Shares(args.falls, args.acts, args.night)
    make_images(args.out, args.n, args.seed, args.split, args.workers, shares)


if __name__ == "__main__":
    main()
