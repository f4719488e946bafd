"""The true boxes of the demo's footage, and what systems say when they are given those.

A perfect detector and tracker would give these boxes; the distance between what systems reach with
them and with the real ones is what missed and mixed-up people cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.demo.annotations import MIN_FRACTION
from vigil.demo.labels import read_truth
from vigil.errors import InputError
from vigil.evaluation.misses import count_misses, summarize
from vigil.frame_judging import judge
from vigil.frame_systems import Footage, System, no_skeletons
from vigil.paths import Paths
from vigil.schema import Embeddings, Event, FrameScores, Timeline, Tracks

Embed = Callable[[Mapping[str, Tracks]], Mapping[str, Embeddings]]


def true_tracks(truth: dict[str, Any], timeline: Timeline) -> Tracks:
    """Return the boxes of every person who is visible enough to be found.

    Args:
        truth: ground truth of one video, see `vigil.demo.footage`.
        timeline: of the same video.

    Returns:
        Tracks whose ids are the persons' own and whose score is the visible fraction.

    Raises:
        InputError: truth of another video, or of another number of frames.
    """
    if (truth["video_id"], truth["n_frames"]) != (timeline.video_id, len(timeline)):
        raise InputError(
            f"truth: {timeline.video_id}: expected {len(timeline)} frames, got "
            f"{truth['n_frames']} of {truth['video_id']}"
        )
    persons = truth["persons"]
    frame = np.array(persons["frame"], np.int32)
    track_id = np.array(persons["track_id"], np.int32)
    xyxy = np.array(persons["xyxy"], np.float32).reshape(-1, 4)
    score = np.array(persons["visible_fraction"], np.float32)
    seen = np.flatnonzero(score >= MIN_FRACTION)
    order = seen[np.lexsort((track_id[seen], frame[seen]))]
    return Tracks(
        timeline.video_id,
        timeline.width,
        timeline.height,
        frame=frame[order],
        time_s=timeline.time_s[frame[order]],
        track_id=track_id[order],
        xyxy=xyxy[order],
        score=np.clip(score[order], 0, 1),
    )


def true_events(truth: dict[str, Any], normal_class: str) -> list[Event]:
    """Return a video's events but the normal ones, with the persons involved as track ids."""
    return [
        Event(truth["video_id"], event["label"], float(event["start_s"]), float(event["end_s"]),
              tuple(int(who) for who in event["person_ids"]))
        for event in truth["events"] if event["label"] != normal_class
    ]  # fmt: skip


def judge_true_boxes(
    systems: Sequence[System], videos: Sequence[str], embed: Embed, config: Config, paths: Paths
) -> tuple[dict[str, list[FrameScores]], dict[str, Any] | None]:
    """Let systems judge videos with their true boxes, and count whom the tracker missed.

    Systems that look at skeletons are left out: there are none of the true boxes.

    Args:
        systems: the judges.
        videos: ids.
        embed: gives the embeddings of boxes, by video.
        config: all parameters; `frames.ground_truth` names the folder of the truth.
        paths: of the project.

    Returns:
        Scores by system in the order of `videos`, and the counts of `vigil.evaluation.misses`;
        nothing and None where no truth is named.

    Raises:
        InputError: a video or its truth is missing, or they do not fit.
    """
    if not config.frames.ground_truth:
        return {}, None
    truths = {name: _read(paths.root / config.frames.ground_truth, name) for name in videos}
    lines = {name: Timeline.read(paths.timelines / f"{name}.parquet") for name in videos}
    boxes = {name: true_tracks(truths[name], lines[name]) for name in videos}
    misses = summarize(
        count_misses(boxes[name], Tracks.read(paths.tracks / f"{name}.parquet"),
                     true_events(truths[name], config.normal_class), config.frames.match_iou)
        for name in videos
    )  # fmt: skip
    tables = embed(boxes)
    footage = [Footage(lines[n], boxes[n], tables[n], no_skeletons(lines[n])) for n in videos]
    return {
        system.name: [judge(system, film, config) for film in footage]
        for system in systems if not system.reads_skeletons
    }, misses  # fmt: skip


def _read(folder: Path, video_id: str) -> dict[str, Any]:
    file = folder / f"{video_id}.json.gz"
    if not file.is_file():
        raise InputError(f"frames: {file}: expected the ground truth of {video_id}, got none")
    return read_truth(file)
