"""Skeletons of simulated scenes, no pixel drawn: what recognizers are pretrained on.

    python -m vigil.demo.simulated --out FILE --scenes 4000

A scene's bodies are posed and projected as they are when it is rendered; then the joints are
disturbed the way a pose network and a tracker disturb them: noise that lasts, joints that are
lost, people who vanish for a while or change their identity. A scene costs a few milliseconds
instead of a minute, so thousands of people in thousands of rooms are at hand.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.clips import propose_clips
from vigil.config import ClipsSection, Config, load
from vigil.dataset import annotation, write_annotations
from vigil.demo.footage import FPS
from vigil.demo.images import scene_seeds
from vigil.demo.labels import label_windows
from vigil.demo.strain import strain
from vigil.demo.world.casting import LEAVES
from vigil.demo.world.scenes import Scene, make_scene
from vigil.sampling import body_extent
from vigil.schema import JOINTS, Skeletons, Timeline, Tracks

Floats = NDArray[np.float64]
_LOG = logging.getLogger(__name__)

_LEAST_JOINTS = 4  # fewer in the picture, and no network finds the person
_VALIDATION_SHARE = 0.05
_MOST_LOST = 0.9  # share of frames, however bad the joints are


@dataclass(frozen=True)
class Disturbance:
    """How much the joints of one scene are disturbed; every number is the most that is drawn.

    Attributes:
        noise: deviation of a joint, in body extents; half of it lasts, half is new every frame.
        lost_joint: share of joints lost frame by frame.
        lost_frame: share of frames in which a person is not found.
        gap: chance per person of being lost for up to a second.
        switch: chance per person of getting another identity midway.
        swap: chance per person and second of left and right being taken for each other, for a
            moment or for most of the second.
        motion: how many times worse a joint is found per body extent and second of its speed.
        overlap: how many times worse a person is found who is covered whole by another.
        fade: how much of what makes joints worse lowers their scores; 1: in proportion.
    """

    noise: float = 0.1
    lost_joint: float = 0.08
    lost_frame: float = 0.15
    gap: float = 0.4
    switch: float = 0.15
    swap: float = 0.25
    motion: float = 0.0
    overlap: float = 0.0
    fade: float = 0.0


USUAL = Disturbance()  # what the demo's own networks do

# Face, shoulders, elbows, wrists, hips, knees, ankles: as the demo's pose network errs.
_LIMB_NOISE = np.repeat([0.3, 0.4, 0.7, 1.3, 0.35, 0.55, 0.75], [5, 2, 2, 2, 2, 2, 2])
_MIRROR = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]


def skeletons(scene: Scene, video_id: str, disturb: Disturbance, seed: int) -> Skeletons:
    """Pose, project and disturb the people of a scene.

    Args:
        scene: what happens.
        video_id: what the result is called.
        disturb: how much goes wrong.
        seed: of what goes wrong.
    """
    rng = np.random.default_rng([seed, 21])
    times = np.arange(scene.n_frames) / scene.fps
    size = np.array([scene.width, scene.height])
    parts = []
    people, shown = [], []
    for actor in scene.actors:
        uv, depth = scene.camera.project(actor.body.keypoints(actor.frames(times)))
        people.append(uv)
        shown.append((depth > 0.2) & (uv >= 0).all(-1) & (uv < size).all(-1))
    strains = strain(people, shown, scene.fps, disturb.motion, disturb.overlap)
    for actor, uv, seen, worse in zip(scene.actors, people, shown, strains, strict=True):
        uv, score = _disturb(uv, seen, worse, scene.fps, disturb, rng)
        identity = np.full(scene.n_frames, actor.track_id)
        if rng.random() < disturb.switch:
            identity[rng.integers(scene.n_frames) :] += 10
        there = np.flatnonzero((score > 0).sum(-1) >= _LEAST_JOINTS)
        parts.append((there, identity[there], uv[there], score[there]))
    frame, identity, uv, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(frame, kind="stable")
    uv = np.where(score[..., None] > 0, uv, np.nan)
    return Skeletons(
        video_id, scene.width, scene.height,
        frame=frame[order].astype(np.int32), time_s=times[frame[order]],
        track_id=identity[order].astype(np.int32),
        keypoints=uv[order].reshape(-1, 2 * JOINTS).astype(np.float32),
        scores=score[order].astype(np.float32),
    )  # fmt: skip


def _disturb(
    uv: Floats,
    seen: NDArray[np.bool_],
    worse: Floats,
    fps: float,
    disturb: Disturbance,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return (T, 17, 2) disturbed pixels and (T, 17) scores, 0 where missing; see `strain`."""
    frames = len(uv)
    extent = body_extent(uv.astype(np.float32), seen)
    level = rng.uniform(0.1, 1.0) * disturb.noise * _LIMB_NOISE
    fresh = rng.normal(0, 1, (2, *uv.shape))
    keep = 0.8
    for t in range(1, frames):
        fresh[0, t] = keep * fresh[0, t - 1] + np.sqrt(1 - keep**2) * fresh[0, t]
    noise = (fresh[0] + fresh[1]) / np.sqrt(2) * level[:, None]
    tail = np.where(rng.random((frames, JOINTS, 1)) < 0.06, 3.0, 1.0)
    moved = uv + noise * tail * extent * worse[..., None]
    for second in range(int(frames / fps) + 1):
        if rng.random() < rng.uniform(0, disturb.swap):
            begin = int(second * fps)
            part = slice(begin, begin + int(rng.integers(1, max(2, int(fps)))))
            moved[part] = moved[part][:, _MIRROR]
    score = np.clip(rng.normal(0.75, 0.15, (frames, JOINTS)), 0.15, 1.0) * seen
    score *= rng.random(score.shape) >= rng.uniform(0, disturb.lost_joint)
    score = score / (1.0 + disturb.fade * (worse - 1.0))
    lost = rng.uniform(0, disturb.lost_frame) * worse.mean(1)
    found = rng.random(frames) >= np.minimum(lost, _MOST_LOST)
    if rng.random() < disturb.gap:
        begin = int(rng.integers(frames))
        found[begin : begin + int(rng.uniform(0.2, 1.0) * fps)] = False
    return moved, score * found[:, None]


def rows(
    seed: int, clips: ClipsSection, classes: Sequence[str], normal: str, disturb: Disturbance
) -> list[dict[str, Any]]:
    """Simulate one scene; return its labeled windows as annotations of `vigil.dataset`.

    Windows of a class that is not among `classes` are left out; so are the scenes of one.
    """
    scene = make_scene(seed, _behavior(seed, classes), fps=FPS)
    video_id = f"sim_{seed:09d}"
    found = skeletons(scene, video_id, disturb, seed)
    if not len(found.frame):
        return []
    head = (video_id, scene.width, scene.height)
    timeline = Timeline(*head, np.arange(scene.n_frames) / scene.fps)
    nobody = Tracks(*head, np.zeros(0, np.int32), np.zeros(0), np.zeros(0, np.int32),
                    np.zeros((0, 4), np.float32), np.zeros(0, np.float32))  # fmt: skip
    truth = {"video_id": video_id, "width": scene.width, "height": scene.height,
             "fps": scene.fps, "n_frames": scene.n_frames,
             "events": [asdict(event) for event in scene.events]}  # fmt: skip
    names = {label.clip_id: label.label for label in label_windows(truth, clips, normal)}
    return [
        annotation(clip, list(classes).index(names[clip.clip_id]), video_id, found, timeline)
        for clip in propose_clips(timeline, nobody, clips)
        if names.get(clip.clip_id) in classes
    ]


def _behavior(seed: int, classes: Sequence[str]) -> str | None:
    """Draw a leaf behavior evenly over `classes`; None where they leave out none of the three."""
    wanted = [leaves for name, leaves in LEAVES.items() if name in classes]
    if len(wanted) == len(LEAVES):
        return None
    rng = np.random.default_rng([seed, 22])
    return str(rng.choice(wanted[rng.integers(len(wanted))]))


def simulate(
    path: Path,
    scenes: int,
    config: Config,
    seed: int = 0,
    workers: int | None = None,
    disturb: Disturbance = USUAL,
) -> int:
    """Write an annotation file of simulated windows; a twentieth of the scenes is for validation.

    Args:
        path: where to write.
        scenes: how many.
        config: classes, and the windows' length and stride.
        seed: part of the split `train` of scene seeds.
        workers: processes; every core when None.
        disturb: how much goes wrong.

    Returns:
        The number of windows.
    """
    work = partial(
        rows, clips=config.clips, classes=config.classes, normal=config.normal_class,
        disturb=disturb,
    )  # fmt: skip
    seeds = scene_seeds("train", seed, scenes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, context) as pool:
        parts = list(pool.map(work, seeds, chunksize=16))
    held_out = {f"sim_{number:09d}" for number in seeds[: int(scenes * _VALIDATION_SHARE)]}
    every = [row for part in parts for row in part]
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for row in every:
        splits["val" if row["video_id"] in held_out else "train"].append(row["frame_dir"])
    write_annotations(path, splits, every)
    return len(every)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="annotation file to write")
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=50)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config, _ = load(arguments.params)
    count = simulate(arguments.out, arguments.scenes, config, arguments.seed)
    _LOG.info("%d windows of %d scenes in %s", count, arguments.scenes, arguments.out)


if __name__ == "__main__":
    main()
