"""Look at every tracked person, pair and frame of every video with CLIP."""

from __future__ import annotations

import argparse
from functools import partial

from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError
from vigil.items import Item, Work, run_items
from vigil.paths import Paths
from vigil.perception.embedder import embed_item, embed_key
from vigil.video import list_videos


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write embeddings; videos without tracks (`mask` has said why) are left out."""
    videos = list_videos(paths.videos)
    tracked = [(video, paths.tracks / f"{video.stem}.parquet") for video in videos]
    items = [Item(video.stem, (video, tracks)) for video, tracks in tracked if tracks.is_file()]
    if not items:
        raise InputError(f"embed: {paths.tracks}: expected tracks of the videos, got none")
    work = Work(
        stage="embed",
        compute=partial(embed_item, config, paths),
        outputs={"embeddings.parquet": paths.embeddings / "{id}.parquet"},
        key=embed_key(config, paths),
    )
    report = paths.stage_reports / "embed.json"
    done = run_items(work, items, cache=paths.cache, report=report, workers=config.workers)
    left_out = len(videos) - len(items)
    print(done.summary() + (f"; {left_out} without tracks left out" if left_out else ""))


if __name__ == "__main__":
    run(main, __doc__)
