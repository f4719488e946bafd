"""Find, follow and draw the people of every video; write it with everything else black."""

from __future__ import annotations

import argparse
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError
from vigil.items import Item, Work, run_items
from vigil.paths import Paths
from vigil.perception.masking import mask_item, mask_key
from vigil.video import list_videos


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write tracks, masks, timelines and masked videos."""
    items = [Item(video.stem, (video,)) for video in list_videos(paths.videos)]
    if not items:
        raise InputError(f"mask: {paths.videos}: expected at least one video, got none")
    work = Work(
        stage="mask",
        compute=partial(mask_item, config, paths),
        outputs={
            "timeline.parquet": paths.timelines / "{id}.parquet",
            "tracks.parquet": paths.tracks / "{id}.parquet",
            "masks.parquet": paths.masks / "{id}.parquet",
            "masked.mp4": paths.masked / "{id}.mp4",
        },
        key=mask_key(config, paths),
    )
    report = paths.stage_reports / "mask.json"
    done = run_items(work, items, cache=paths.cache, report=report, workers=config.workers)
    print(done.summary())


if __name__ == "__main__":
    run(main, __doc__)
