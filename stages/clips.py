"""Cut every video into windows of fixed length, and make small copies that browsers play."""

from __future__ import annotations

import argparse
from functools import partial

from vigil.clips import propose_clips
from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError
from vigil.items import Work, run_items
from vigil.paths import Paths
from vigil.proxies import proxy_item, proxy_items, proxy_key
from vigil.schema import Clip, Timeline, Tracks, write_clips, write_json


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Write the windows of all videos into one table, and a proxy of each video."""
    print(_cut(config, paths))
    print(_copy(config, paths))


def _cut(config: Config, paths: Paths) -> str:
    clips: list[Clip] = []
    rows: list[dict[str, object]] = []
    for path in sorted(paths.tracks.glob("*.parquet")):
        timeline = Timeline.read(paths.timelines / path.name)
        found = propose_clips(timeline, Tracks.read(path), config.clips)
        rows.append({"id": path.stem, "seconds": timeline.duration_s, "clips": len(found)})
        clips.extend(found)
    write_json(paths.stage_reports / "clips.json", {"stage": "clips", "rows": rows})
    if not rows:
        raise InputError(f"clips: {paths.tracks}: expected tracks of videos, got none")
    if not clips:
        raise InputError(
            f"clips: expected a video of at least {config.clips.min_length_s} s, "
            f"got {len(rows)} shorter ones"
        )
    write_clips(paths.clips, clips)
    none = sum(row["clips"] == 0 for row in rows)
    line = f"clips: {len(clips)} windows of {len(rows)} videos"
    return line + (f"; {none} too short for one" if none else "")


def _copy(config: Config, paths: Paths) -> str:
    params = config.clips.proxy
    work = Work(
        stage="proxies",
        compute=partial(proxy_item, params),
        outputs={
            "proxy.mp4": paths.proxies / "{id}.mp4",
            "thumbnail.jpg": paths.proxies / "{id}.jpg",
        },
        key=proxy_key(params),
    )
    report = paths.stage_reports / "proxies.json"
    items = proxy_items(paths, params)
    done = run_items(work, items, cache=paths.cache, report=report, workers=config.workers)
    return done.summary()


if __name__ == "__main__":
    run(main, __doc__)
