"""Learn how the demo's own networks err, from scenes that are drawn for it.

    python -m vigil.demo.train_errors --out FILE --scenes 120

Draws scenes, has the demo's detector, tracker and pose network look at them as
`vigil.demo.rendered` does (some ten core-seconds each; what is found is kept in a folder beside
FILE, so a killed run goes on), and learns from what was found of whom, see
`vigil.demo.learned_errors`. `vigil.demo.train_protogcn --errors FILE` then simulates thousands of
scenes with such errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vigil.command import run
from vigil.config import Config
from vigil.demo.footage import FPS
from vigil.demo.images import scene_seeds
from vigil.demo.learned_errors import LEAST_SCENES, learn
from vigil.demo.rendered import SEED, look
from vigil.demo.sightings import sightings
from vigil.demo.world.scenes import make_scene
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Skeletons
from vigil.weights import SHIPPED


def learn_from(
    seeds: Sequence[int], beside: Path, out: Path, config: Config, say: Callable[[str], None],
    weights: Path = SHIPPED, workers: int | None = None,
) -> None:  # fmt: skip
    """Draw scenes, look at them unless that is done, learn how that errs, and write it.

    Args:
        seeds: of the scenes.
        beside: file that what is found is kept beside, see `vigil.demo.rendered.look`.
        out: file to write, see `vigil.demo.learned_errors.LearnedErrors.write`.
        config: everything the networks are run with.
        say: receives a line now and then.
        weights: folder of the networks that look.
        workers: processes; every core when None.

    Raises:
        InputError: too few scenes, or a network's weights are missing.
        NobodyFoundError: nobody is found in them.
        VigilError: a scene could not be made or looked at.
    """
    if len(seeds) < LEAST_SCENES:  # before minutes of drawing
        raise InputError(f"errors: expected {LEAST_SCENES} scenes or more, got {len(seeds)}")
    found = look(beside, seeds, config, say, weights, workers)
    scenes = [
        sightings(make_scene(seed, fps=FPS), Skeletons.read(path)) for seed, path in found.items()
    ]
    people = sum(int(scene.there.sum()) for scene in scenes)
    say(f"{people} person-frames, {sum(int(scene.found.sum()) for scene in scenes)} found")
    errors, (unseen, seen) = learn(scenes)
    errors.write(out)
    say(
        f"mean loss {unseen:.2f} on scenes not learned from, {seen:.2f} on those learned from; "
        f"{len(errors.blocks)} blocks in {out}"
    )


def main(config: Config, _: Paths, arguments: argparse.Namespace) -> None:
    """Draw, look, learn and write."""

    def say(line: str) -> None:
        sys.stdout.write(f"errors: {line}\n")
        sys.stdout.flush()

    out: Path = arguments.out
    seeds = scene_seeds("train", arguments.seed, arguments.scenes)
    learn_from(seeds, out, out, config, say, arguments.weights, config.workers)


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--out", {"type": Path, "required": True, "help": "file to write"}),
        ("--scenes", {"type": int, "default": 120}),
        ("--seed", {"type": int, "default": SEED, "help": "of the scenes"}),
        ("--weights", {"type": Path, "default": SHIPPED, "help": "folder of the networks"}),
    )
