"""Brings a folder of labeled real footage into the shape that the stages read.

The folder holds videos and a `labels.csv` with `video,label,scene`: one label for the whole of
each short video, and the scene it was filmed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Clip, Label, read_csv, write_groups, write_labels


def link_videos(source: Path, paths: Paths) -> int:
    """Link the labeled videos of `source` into the project and write its scene table.

    Returns:
        How many videos there are.

    Raises:
        InputError: no `labels.csv`, or it names a video that is not there.
    """
    rows = read_csv(source / "labels.csv", ("video", "label", "scene"))
    paths.videos.mkdir(parents=True, exist_ok=True)
    for row in rows:
        video = (source / row["video"]).resolve()
        if video.parent != source.resolve() or not video.is_file():
            raise InputError(f"{source}: expected the video {row['video']}, got none")
        link = paths.videos / video.name
        if not link.exists():
            link.symlink_to(video)
    write_groups(paths.groups, {Path(row["video"]).stem: row["scene"] for row in rows})
    return len(rows)


def publish_labels(source: Path, clips: Sequence[Clip], paths: Paths) -> int:
    """Give every clip its video's label; return how many clips there are.

    Raises:
        InputError: no `labels.csv`, or no clip is of a labeled video.
    """
    rows = read_csv(source / "labels.csv", ("video", "label"))
    by_video = {Path(row["video"]).stem: row["label"] for row in rows}
    labels = [
        Label(clip.clip_id, by_video[clip.video_id], "dataset", "")
        for clip in clips
        if clip.video_id in by_video
    ]
    if not labels:
        raise InputError(f"{source}: expected labels for the clips, got none")
    write_labels(paths.labels, labels)
    return len(labels)
