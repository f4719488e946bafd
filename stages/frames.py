"""Score every frame of test and validation videos by every system, and measure the systems."""

from __future__ import annotations

import argparse
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.demo.true_boxes import embed_boxes
from vigil.demo.truth import judge_true_boxes
from vigil.frame_judging import judge_all, read_parts, read_truths, systems
from vigil.frame_page import write_report
from vigil.frame_report import Said, brief, report, show
from vigil.paths import Paths
from vigil.schema import write_json
from vigil.words import ask_clip


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write the frame scores, their report, and the few figures that `dvc metrics` shows."""
    parts = read_parts(paths.dataset / "splits.csv")
    judges = systems(ask_clip(config, paths), config, paths)
    said = judge_all(judges, (*parts.test, *parts.val), config, paths)
    truths, source = read_truths((*parts.test, *parts.val), config, paths)
    embed = partial(embed_boxes, config=config, paths=paths)
    perfect, misses = judge_true_boxes(judges, parts.test, embed, config, paths)
    count = len(parts.test)
    found, pooled = report(
        {name: Said(own[:count], own[count:], perfect.get(name, ())) for name, own in said.items()},
        [truths[name] for name in parts.test],
        [truths[name] for name in parts.val],
        misses,
        source,
        config,
    )
    written = write_report(paths.frame_report, found, pooled)
    write_json(paths.reports / "metrics" / "frames.json", brief(found))
    print(show(found))
    print("frames: " + ", ".join(str(path.relative_to(paths.root)) for path in written))


if __name__ == "__main__":
    run(main, __doc__)
