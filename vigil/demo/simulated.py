"""Skeletons of simulated scenes, no pixel drawn: what recognizers are pretrained on.

    python -m vigil.demo.simulated --out FILE --scenes 4000 [--errors FILE]

A scene's bodies are posed and projected as they are when it is rendered; then the joints are
disturbed the way a pose network and a tracker disturb them: by sizes measured once, see
`vigil.demo.disturbances`, or as `vigil.demo.train_errors` has learned (`--errors`). A scene costs a
few milliseconds instead of seconds, so thousands of people in thousands of rooms are at hand.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vigil.command import run
from vigil.config import ClipsSection, Config
from vigil.dataset import write_annotations
from vigil.demo.disturbances import Disturbance, People, disturb
from vigil.demo.footage import FPS
from vigil.demo.images import scene_seeds
from vigil.demo.learned_errors import LearnedErrors, read
from vigil.demo.strain import Strained, strained
from vigil.demo.windows import skeleton_windows
from vigil.demo.world.casting import LEAVES
from vigil.demo.world.scenes import Scene, make_scene
from vigil.paths import Paths
from vigil.perception.smoothing import smooth
from vigil.schema import JOINTS, Skeletons
from vigil.workers import worker_pool

_VALIDATION_SHARE = 0.05
# Of the demo's networks by measured sizes; of a network on real footage; of the former, learned.
Errors = Disturbance | Strained | LearnedErrors
USUAL = Disturbance()


def skeletons(scene: Scene, video_id: str, how: Errors, seed: int) -> Skeletons:
    """Pose, project and disturb the people of a scene.

    Args:
        scene: what happens.
        video_id: what the result is called.
        how: what goes wrong and how much.
        seed: of what goes wrong.
    """
    people = _found(scene, how, np.random.default_rng([seed, 21]))
    times = np.arange(scene.n_frames) / scene.fps
    person, frame = np.nonzero((people.score > 0).any(-1))
    identity, score = people.identity[person, frame], people.score[person, frame]
    uv = np.where(score[..., None] > 0, people.uv[person, frame], np.nan)
    order = np.argsort(frame, kind="stable")
    return Skeletons(
        video_id, scene.width, scene.height,
        frame=frame[order].astype(np.int32), time_s=times[frame[order]],
        track_id=identity[order].astype(np.int32),
        keypoints=uv[order].reshape(-1, 2 * JOINTS).astype(np.float32),
        scores=score[order].astype(np.float32),
    )  # fmt: skip


def _found(scene: Scene, how: Errors, rng: np.random.Generator) -> People:
    """Return what is found of a scene's people."""
    if isinstance(how, LearnedErrors):
        return how.people(scene, rng)
    uv, depth = scene.joints()
    size = (scene.width, scene.height)
    if isinstance(how, Strained):
        return strained(uv, depth, size, scene.fps, how, rng)
    return disturb(uv, depth, size, scene.fps, how, rng)


def rows(
    seed: int, clips: ClipsSection, classes: Sequence[str], normal: str, how: Errors,
    smooth_s: float = 0.0,
) -> list[dict[str, Any]]:  # fmt: skip
    """Simulate one scene; return its labeled windows as annotations of `vigil.dataset`.

    Windows of a class that is not among `classes` are left out; so are the scenes of one. Joints
    are averaged over time as the stage `skeletons` does it, see `vigil.perception.smoothing`;
    learned errors are those of averaged joints.
    """
    scene = make_scene(seed, _behavior(seed, classes), fps=FPS)
    found = skeletons(scene, scene_id(seed), how, seed)
    if not isinstance(how, LearnedErrors):
        found = smooth(found, smooth_s)
    return skeleton_windows(scene, found, clips, classes, normal)


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
    how: Errors = USUAL,
) -> int:
    """Write an annotation file of simulated windows; a twentieth of the scenes is for validation.

    Args:
        path: where to write.
        scenes: how many.
        config: classes, and the windows' length and stride.
        seed: part of the split `train` of scene seeds.
        workers: processes; every core when None.
        how: how much goes wrong.

    Returns:
        The number of windows.
    """
    work = partial(
        rows, clips=config.clips, classes=config.classes, normal=config.normal_class,
        how=how, smooth_s=config.skeletons.smooth_s,
    )  # fmt: skip
    seeds = scene_seeds("train", seed, scenes)
    with worker_pool(workers or os.cpu_count() or 1) as running:
        parts = list(running.map(work, seeds, chunksize=16))
    return write_scenes(path, [row for part in parts for row in part], seeds)


def write_scenes(path: Path, windows: Sequence[dict[str, Any]], seeds: Sequence[int]) -> int:
    """Write the windows of scenes, the first twentieth of them for validation; return how many.

    Args:
        path: where to write.
        windows: of all scenes.
        seeds: of the scenes; a scene's video id is `scene_id` of it.
    """
    held_out = {scene_id(seed) for seed in seeds[: int(len(seeds) * _VALIDATION_SHARE)]}
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for row in windows:
        splits["val" if row["video_id"] in held_out else "train"].append(row["frame_dir"])
    write_annotations(path, splits, windows)
    return len(windows)


def scene_id(seed: int) -> str:
    """Return what the scene of a seed is called."""
    return f"sim_{seed:09d}"


def main(config: Config, _: Paths, arguments: argparse.Namespace) -> None:
    """Simulate and write."""
    how = read(arguments.errors) if arguments.errors else USUAL
    count = simulate(arguments.out, arguments.scenes, config, arguments.seed, how=how)
    sys.stdout.write(
        f"simulated: {count} windows of {arguments.scenes} scenes in {arguments.out}\n"
    )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--out", {"type": Path, "required": True, "help": "annotation file to write"}),
        ("--scenes", {"type": int, "default": 4000}),
        ("--seed", {"type": int, "default": 50}),
        ("--errors", {"type": Path, "help": "learned errors instead of the usual ones"}),
    )
