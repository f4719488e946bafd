"""Find the joints of every tracked person in every video."""

from __future__ import annotations

import argparse
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError
from vigil.items import Item, Work, run_items
from vigil.paths import Paths
from vigil.perception.skeletons import skeletons_item, skeletons_key
from vigil.video import list_videos


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write skeletons; videos without tracks (`mask` has said why) are left out."""
    masked = config.skeletons.source == "masked"
    videos = list_videos(paths.masked if masked else paths.videos)
    tracked = [(video, paths.tracks / f"{video.stem}.parquet") for video in videos]
    items = [Item(video.stem, (video, tracks)) for video, tracks in tracked if tracks.is_file()]
    if not items:
        raise InputError(f"skeletons: {paths.tracks}: expected tracks of the videos, got none")
    work = Work(
        stage="skeletons",
        compute=partial(skeletons_item, config, paths),
        outputs={"skeletons.parquet": paths.skeletons / "{id}.parquet"},
        key=skeletons_key(config, paths),
    )
    report = paths.stage_reports / "skeletons.json"
    done = run_items(work, items, cache=paths.cache, report=report, workers=config.workers)
    left_out = len(videos) - len(items)
    print(done.summary() + (f"; {left_out} without tracks left out" if left_out else ""))


if __name__ == "__main__":
    run(main, __doc__)
