"""Examine a recognizer on drawn scenes that nothing has learned from.

    python -m vigil.demo.exam --model protogcn --scenes 100

The demo's test split is twelve videos: its figures swing with chance, and each look wears it out.
Here as many further scenes as one likes are drawn from scene seeds of their own, looked at by the
demo's own networks, and judged by the trained recognizer. The report is that of `stages.evaluate`,
with what happens in a scene (talk, hug, kick, ...) in the place of its room. A scene takes some ten
core-seconds; what is found is kept, so another recognizer is judged at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vigil.command import run
from vigil.config import Config
from vigil.dataset import read_annotations
from vigil.demo.footage import FPS
from vigil.demo.rendered import render
from vigil.demo.world.scenes import make_scene
from vigil.ensemble import load
from vigil.errors import InputError
from vigil.evaluation import predict, report
from vigil.evaluation.scores import scores_of
from vigil.models.skeleton_reading import SkeletonReading
from vigil.paths import Paths
from vigil.reporting import show, write_details
from vigil.schema import write_json


def examine(
    name: str, model: Path, annotations: Path, out: Path, config: Config
) -> dict[str, Any]:  # fmt: skip
    """Judge a trained recognizer on rendered scenes and write its report.

    Args:
        name: what the recognizer is called.
        model: its folder.
        annotations: file of `vigil.demo.rendered.render`.
        out: folder of the report: `report.json`, `index.html`, `scores.csv`, pictures.
        config: classes, the sections `evaluate` and `dataset`.

    Returns:
        The report; its groups are the scenes' main behaviors.

    Raises:
        InputError: no window.
        ModelError: no trained recognizer in `model`.
    """
    _, rows = read_annotations(annotations)
    rows = by_behavior(rows)
    scores = scores_of(rows, predict(model, rows))
    summary = report(name, "drawn scenes of their own seeds", scores, {}, {}, config)
    write_json(out / "report.json", summary)
    write_details(out, summary, scores, rows, config)
    return summary


def by_behavior(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the windows with what happens in their scene as their group."""
    scenes = {row["video_id"] for row in rows}
    behaviors = {name: make_scene(int(name.split("_")[1]), fps=FPS).behavior for name in scenes}
    return [row | {"group": behaviors[row["video_id"]]} for row in rows]


def check_reads_skeletons(name: str, model: Path) -> None:
    """Check that the folder `model` holds a recognizer that can be judged on skeletons alone.

    Raises:
        InputError: it reads something else.
        ModelError: no trained recognizer there.
    """
    if not isinstance(load(model)[1].reads, SkeletonReading):
        raise InputError(f"exam: {name}: expected a recognizer of skeletons, got one of sequences")


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Render, look, judge and report."""

    def say(line: str) -> None:
        sys.stdout.write(f"exam: {line}\n")
        sys.stdout.flush()

    name, scenes, seed = arguments.model, arguments.scenes, arguments.seed
    check_reads_skeletons(name, paths.model(name))  # before hours of drawing
    folder = paths.reports / "exam"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"scenes-{seed}.pkl"
    render(file, scenes, config, say, seed=seed, workers=config.workers, split="test")
    summary = examine(name, paths.model(name), file, folder / name, config)
    say(show(summary))
    say(f"look at {(folder / name / 'index.html').relative_to(paths.root)}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--model", {"default": "protogcn", "help": "recognizer: an entry of models"}),
        ("--scenes", {"type": int, "default": 100}),
        ("--seed", {"type": int, "default": 0, "help": "of the scenes"}),
    )
