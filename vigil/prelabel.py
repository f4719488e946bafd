"""Let served recognizers suggest labels for every clip, labeled or not, for people who label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.dataset import annotation
from vigil.ensemble import reads_of
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Clip, Embeddings, Skeletons, Suggestion, Timeline, by_video
from vigil.serving.client import RecognizerClient
from vigil.tokens import token_row


def prelabel(
    model: str, url: str, clips: Sequence[Clip], config: Config, paths: Paths
) -> list[Suggestion]:
    """Ask one served recognizer about clips.

    Args:
        model: name of the recognizer.
        url: `host:port` of Triton's gRPC endpoint.
        clips: of any videos; those of videos without skeletons are left out.
        config: all parameters.
        paths: of the project.

    Returns:
        A suggestion per clip, with probabilities in label order.

    Raises:
        InputError: no clip with skeletons, or the recognizer has other classes.
        ServerError: the server refuses or does not answer.
    """
    client = RecognizerClient(url, "grpc", model)
    if tuple(client.labels) != config.classes:
        raise InputError(f"prelabel: {model}: expected {config.classes}, got {client.labels}")
    reads, most = reads_of(model, config), config.export.max_batch
    found = []
    for rows in rows_by_video(clips, paths):
        batch = reads.batch(rows)
        parts = [
            client.probabilities({k: v[start : start + most] for k, v in batch.feeds.items()})
            for start in range(0, len(batch.owner), most)
        ]
        settled = reads.settle(np.concatenate(parts), batch.owner, len(rows))
        for row, said in zip(rows, np.clip(settled, 0, 1).tolist(), strict=True):
            found.append(Suggestion(row["frame_dir"], model, tuple(said)))
    if not found:
        raise InputError(f"prelabel: {paths.skeletons}: expected skeletons of clips, got none")
    return found


def rows_by_video(clips: Sequence[Clip], paths: Paths) -> Iterator[list[dict[str, Any]]]:
    """Yield the annotations of each video's clips, as `vigil.dataset` makes them, unlabeled."""
    for video_id, own in by_video(clips).items():
        file = f"{video_id}.parquet"
        if not (paths.skeletons / file).is_file():
            continue
        skeletons = Skeletons.read(paths.skeletons / file)
        timeline = Timeline.read(paths.timelines / file)
        rows = [annotation(clip, 0, video_id, skeletons, timeline) for clip in own]
        if (paths.embeddings / file).is_file():
            table = Embeddings.read(paths.embeddings / file)
            rows = [row | token_row(clip, table, None) for row, clip in zip(rows, own, strict=True)]
        yield rows
