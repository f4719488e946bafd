"""Pretrain the demo's recognizer on simulated skeletons, thousands of scenes it need not draw.

    python -m vigil.demo.train_protogcn --out DIR --scenes N --epochs N [--rendered N]
        [--init FILE --lr RATE --share S] [--errors FILE | --learn-errors]

The network is the one of `models.protogcn` in `params.yaml`; the training is the ordinary one.
`--rendered` adds scenes that are drawn and looked at by the demo's own detector, tracker and pose
network, see `vigil.demo.rendered`; each of their windows is learned from twice a pass. A killed run
goes on from its last epoch when started again. `--errors` are those of simulated scenes, see
`vigil.demo.train_errors`; the usual ones are of measured sizes; `--learn-errors` learns them from
the rendered scenes, before anything is simulated, into `errors.safetensors`; where the networks
find nobody there, it says so and goes on with the usual ones. DIR gets `simulated.pkl`,
`rendered.pkl`, `protogcn.safetensors` and `metrics.json` (of the held-out twentieth of the scenes).
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations, select, write_annotations
from vigil.demo.images import scene_seeds
from vigil.demo.learned_errors import NobodyFoundError, read
from vigil.demo.pretraining import fit
from vigil.demo.rendered import SEED as RENDERED_SEED
from vigil.demo.rendered import render
from vigil.demo.simulated import USUAL, Errors, simulate
from vigil.demo.train_errors import learn_from
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.weights import SHIPPED

_NAME = "protogcn"
_RENDERED = "rendered.pkl"
_LOG = logging.getLogger(__name__)


def pretraining(config: Config, epochs: int, init: str, lr: float = 0.1) -> Config:
    """Return the parameters of the pretraining: the demo's network, a longer schedule."""
    values = config.model_dump()
    values["dataset"]["folds"] = 0
    values["train"] = {
        "all": config.train["all"]
        | {"epochs": epochs, "batch_size": 32, "warmup_epochs": 0, "ema_momentum": 0.005,
           "select": "last", "init": init, "lr": lr}
    }  # fmt: skip
    return Config.model_validate(values)


def pretrain(
    out: Path, scenes: int, config: Config, workers: int | None = None, seed: int = 50,
    rendered: int = 0, weights: Path = SHIPPED, share: float = 1.0, how: Errors = USUAL,
) -> dict[str, Any]:  # fmt: skip
    """Simulate unless that is done, train unless that is done, and measure.

    Args:
        out: folder of the run.
        scenes: how many to simulate.
        config: of `pretraining`.
        workers: processes for the simulation.
        seed: of the simulated scenes.
        rendered: how many scenes to draw and look at besides.
        weights: folder of the networks that look.
        share: see `vigil.demo.pretraining.fit`.
        how: what goes wrong in simulated scenes.

    Returns:
        Metrics with intervals on the windows of the held-out scenes, and their numbers.
    """
    annotations = out / "simulated.pkl"
    if not annotations.is_file():
        count = simulate(annotations, scenes, config, seed, workers, how)
        _LOG.info("%d windows of %d scenes", count, scenes)
    if rendered:
        seen = out / _RENDERED
        if not seen.is_file():
            count = render(seen, rendered, config, _LOG.info, weights, workers=workers)
            _LOG.info("%d windows of %d rendered scenes", count, rendered)
        annotations = join(annotations, seen, out / "joined.pkl")
    return fit(_NAME, config, annotations, out, share)


def join(simulated: Path, rendered: Path, path: Path) -> Path:
    """Write an annotation file of both kinds of scenes.

    Args:
        simulated: annotation file.
        rendered: annotation file; its windows for training are taken twice.
        path: where to write.

    Returns:
        `path`.
    """
    posed, drawn = read_annotations(simulated), read_annotations(rendered)
    train = select(*drawn, "train")
    again = [row | {"frame_dir": f"{row['frame_dir']}#2"} for row in train]
    rows = [*select(*posed, "train"), *train, *again]
    held_out = [*select(*posed, "val"), *select(*drawn, "val")]
    splits = {"train": [row["frame_dir"] for row in rows], "test": [],
              "val": [row["frame_dir"] for row in held_out]}  # fmt: skip
    write_annotations(path, splits, [*rows, *held_out])
    return path


def _errors(arguments: argparse.Namespace, config: Config) -> Errors:
    """Return what goes wrong in simulated scenes; it is learned where that is wanted."""
    if not arguments.learn_errors:
        return read(arguments.errors) if arguments.errors else USUAL
    if arguments.errors:
        raise InputError(f"--learn-errors: expected no --errors beside it, got {arguments.errors}")
    out: Path = arguments.out
    path = out / "errors.safetensors"
    if not path.is_file():
        seeds = scene_seeds("train", RENDERED_SEED, arguments.rendered)
        try:
            learn_from(
                seeds, out / _RENDERED, path, config, _LOG.info,
                arguments.weights, arguments.workers,
            )  # fmt: skip
        except NobodyFoundError as error:
            _LOG.warning("%s: simulated people err by the usual sizes", error)
            return USUAL
    return read(path)


def main(base: Config, _: Paths, arguments: argparse.Namespace) -> None:
    """Simulate, draw what is asked for, train, and write what was reached."""
    if arguments.share < 1 and not arguments.init:
        raise InputError("--share: expected --init, whose weights the mean is taken with, got none")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    for name in (__name__, "vigil.training"):
        logging.getLogger(name).setLevel(logging.INFO)
    errors = _errors(arguments, base)
    config = pretraining(base, arguments.epochs, arguments.init, arguments.lr)
    metrics = pretrain(
        arguments.out, arguments.scenes, config, arguments.workers, arguments.seed,
        arguments.rendered, arguments.weights, arguments.share, errors,
    )  # fmt: skip
    (arguments.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    _LOG.info("%s", json.dumps(metrics))


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--out", {"type": Path, "required": True, "help": "folder of the run"}),
        ("--scenes", {"type": int, "default": 4000, "help": "simulated scenes"}),
        ("--epochs", {"type": int, "default": 6, "help": "passes over their windows"}),
        ("--init", {"default": "", "help": "weights to begin with"}),
        ("--lr", {"type": float, "default": 0.1, "help": "highest learning rate"}),
        ("--seed", {"type": int, "default": 50, "help": "of the scenes"}),
        ("--rendered", {"type": int, "default": 0, "help": "rendered scenes besides"}),
        ("--weights", {"type": Path, "default": SHIPPED, "help": "networks that look at them"}),
        (
            "--share",
            {"type": float, "default": 1.0, "help": "of what is learned in its mean with --init"},
        ),
        ("--errors", {"type": Path, "help": "file of learned errors"}),
        (
            "--learn-errors",
            {"action": "store_true", "help": "learn them from the rendered scenes"},
        ),
        ("--workers", {"type": int, "help": "processes that make scenes"}),
    )
