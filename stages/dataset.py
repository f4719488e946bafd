"""Clips, labels, skeletons and embeddings to annotation files with splits that do not leak."""

from __future__ import annotations

from argparse import Namespace

from vigil.command import run
from vigil.config import Config, SequenceSection
from vigil.dataset import EMBEDDINGS, build
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import read_clips, read_events, read_groups, read_labels
from vigil.tokens import Sources, build_tokens


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
    add_embeddings(config, paths)


def add_embeddings(config: Config, paths: Paths) -> None:
    """Write the clips' embeddings beside the annotations, where there are any.

    Raises:
        InputError: none, though a recognizer reads them.
    """
    sources = {
        path.stem: Sources(path, paths.tracks / path.name)
        for path in sorted(paths.embeddings.glob("*.parquet"))
    }
    if not sources:
        (paths.dataset / EMBEDDINGS).unlink(missing_ok=True)
        readers = [n for n in config.recognizers if isinstance(config.models[n], SequenceSection)]
        if readers:
            raise InputError(f"dataset: {', '.join(readers)}: expected embeddings; run `embed`")
        return
    events = None if paths.events is None else read_events(paths.events, config.classes)
    normal = config.classes.index(config.normal_class)
    clips = read_clips(paths.clips)
    print(f"dataset: {build_tokens(paths.dataset, clips, sources, events, config.classes, normal)}")


if __name__ == "__main__":
    run(main, __doc__)
