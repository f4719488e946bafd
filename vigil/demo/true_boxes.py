"""The demo's true boxes through the very code that embeds the tracker's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from vigil.config import Config
from vigil.errors import InputError
from vigil.items import Item, Work, run_items
from vigil.paths import Paths
from vigil.perception.embedder import embed_item, embed_key
from vigil.schema import Embeddings, Tracks
from vigil.video import list_videos


def embed_boxes(boxes: Mapping[str, Tracks], config: Config, paths: Paths) -> dict[str, Embeddings]:
    """Return the embeddings of boxes; what was embedded before comes from the cache.

    Args:
        boxes: by video.
        config: the section `embed`.
        paths: of the project; its CLIP must be there.

    Raises:
        InputError: a video that is not there or cannot be decoded.
    """
    work = paths.cache.parent / "true_boxes"
    for name, tracks in boxes.items():
        tracks.write(work / "tracks" / f"{name}.parquet")
    files = {video.stem: video for video in list_videos(paths.videos)}
    missing = sorted(set(boxes) - set(files))
    if missing:
        raise InputError(f"frames: {paths.videos}: expected the video {missing[0]}, got none")
    items = [Item(name, (files[name], work / "tracks" / f"{name}.parquet")) for name in boxes]
    run_items(
        Work(
            stage="true_boxes",
            compute=partial(embed_item, config, paths),
            outputs={"embeddings.parquet": work / "embeddings" / "{id}.parquet"},
            key=embed_key(config, paths),
        ),
        items,
        cache=paths.cache,
        report=work / "report.json",
        workers=config.workers,
    )
    return {name: Embeddings.read(work / "embeddings" / f"{name}.parquet") for name in boxes}
