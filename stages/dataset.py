"""Clips, labels and skeletons to one annotation file with splits that do not leak."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config
from vigil.dataset import build
from vigil.paths import Paths
from vigil.schema import read_clips, read_groups, read_labels


def main(config: Config, paths: Paths, _: Namespace) -> None:
    """Write `annotations.pkl`, `splits.csv` and `splits.md`, and say what was left out."""
    sources = {
        path.stem: (path, paths.timelines / path.name)
        for path in sorted(paths.skeletons.glob("*.parquet"))
    }
    summary = build(
        paths.dataset,
        read_clips(paths.clips),
        read_labels(paths.labels),
        read_groups(paths.groups) if paths.groups.exists() else {},
        sources,
        config.classes,
        config.dataset,
    )
    print(
        f"dataset: {summary.labeled} labeled clips ({summary.empty} without any person); left out: "
        f"{summary.unlabeled} unlabeled, {summary.tied} with tied votes"
    )
    print(summary.splits)


if __name__ == "__main__":
    run(main, __doc__)
