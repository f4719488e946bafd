"""Every system's scores of every frame of the test and validation videos, and their truth."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vigil.config import Config
from vigil.dataset import consensus, read_annotations, select
from vigil.ensemble import fused_of, named
from vigil.errors import InputError
from vigil.evaluation import learn
from vigil.frame_systems import (
    Footage,
    System,
    class_shares,
    no_skeletons,
    trained_system,
    zero_shot_system,
)
from vigil.frames import FrameTruth, spread, truth_of_events, truth_of_labels
from vigil.fusion import Fused
from vigil.paths import Paths
from vigil.schema import (
    Embeddings,
    FrameScores,
    Skeletons,
    Timeline,
    Tracks,
    read_clips,
    read_csv,
    read_events,
    read_labels,
)
from vigil.zero_shot import ZeroShot


@dataclass(frozen=True)
class Parts:
    """Which videos are judged.

    Attributes:
        test: never seen in training, never used to choose.
        val: to choose thresholds on.
    """

    test: tuple[str, ...]
    val: tuple[str, ...]


def read_parts(splits: Path) -> Parts:
    """Read which videos test and which choose from `splits.csv`, see `vigil.splits.listing`.

    Raises:
        InputError: no such file, or no test video.
    """
    rows = read_csv(splits, ("split", "video_id"))
    test, val = (
        tuple(sorted({row["video_id"] for row in rows if row["split"] == part}))
        for part in ("test", "val")
    )
    if not test:
        raise InputError(f"{splits}: expected at least one test video, got none")
    return Parts(test, val)


def systems(asked: ZeroShot, config: Config, paths: Paths) -> list[System]:
    """Return the systems of the parameters: zero-shot views, recognizers, ensembles, fusions.

    Args:
        asked: the classes in words.
        config: all parameters.
        paths: of the project; dataset and trained models must be there.

    Raises:
        InputError: no training clip, or an unreadable dataset.
        ModelError: a network that is not trained.
    """
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    shares = class_shares(select(splits, rows, "train"), len(config.classes))
    trained = {
        name: named(name, config, paths) for name in (*config.recognizers, *config.ensembles)
    }
    fused = {name: _learned(name, splits, rows, config, paths) for name in config.fusions}
    return [
        *(zero_shot_system(asked, view) for view in config.zero_shot.views),
        *(trained_system(n, where, config, shares) for n, where in (trained | fused).items()),
    ]


def _learned(
    name: str,
    splits: Mapping[str, Sequence[str]],
    rows: Sequence[dict[str, Any]],
    config: Config,
    paths: Paths,
) -> Fused:
    """Learn a fusion anew: DVC may run this stage before the one that publishes it."""
    fused = replace(fused_of(name, config, paths), folder=paths.frame_report / "fusions" / name)
    learn(fused, splits, rows, config.fusions[name])
    return fused


def read_footage(video_id: str, paths: Paths) -> Footage:
    """Read one video as the systems see it; without a file of skeletons it has none.

    Raises:
        InputError: a missing file of another kind.
    """
    name = f"{video_id}.parquet"
    timeline = Timeline.read(paths.timelines / name)
    there = (paths.skeletons / name).is_file()
    return Footage(
        timeline,
        Tracks.read(paths.tracks / name),
        Embeddings.read(paths.embeddings / name),
        Skeletons.read(paths.skeletons / name) if there else no_skeletons(timeline),
    )


def judge(system: System, footage: Footage, config: Config) -> FrameScores:
    """Return what a system says of every frame of a video.

    Args:
        system: the judge.
        footage: the video.
        config: classes and the section `frames`.
    """
    normal = config.classes.index(config.normal_class)
    said = system.judge(footage)
    return spread(footage.timeline, said, system.name, config.classes, normal, config.frames)


def judge_all(
    systems: Sequence[System], videos: Sequence[str], config: Config, paths: Paths
) -> dict[str, list[FrameScores]]:
    """Let every system judge every video, and write what they say.

    Scores of systems and videos that are not among these are removed.

    Args:
        systems: the judges, names distinct.
        videos: ids; their files must be there.
        config: all parameters.
        paths: of the project.

    Returns:
        Scores by system, in the order of `videos`.

    Raises:
        InputError: a video's file is missing, or its embeddings are of another CLIP.
    """
    shutil.rmtree(paths.all_frame_scores, ignore_errors=True)
    found: dict[str, list[FrameScores]] = {system.name: [] for system in systems}
    for video_id in videos:
        footage = read_footage(video_id, paths)
        for system in systems:
            scores = judge(system, footage, config)
            scores.write(paths.frame_scores(system.name) / f"{video_id}.parquet")
            found[system.name].append(scores)
    return found


def read_truths(
    videos: Sequence[str], config: Config, paths: Paths
) -> tuple[dict[str, FrameTruth], str]:
    """Read what is true of videos: from the events file, or where there is none from the labels.

    Returns:
        Truth by video, and where it comes from in words.

    Raises:
        InputError: an unreadable file, or labels that fit no clip or class.
    """
    normal = config.classes.index(config.normal_class)
    lines = {name: Timeline.read(paths.timelines / f"{name}.parquet") for name in videos}
    if paths.events is not None:
        events = read_events(paths.events, config.classes)
        found = {name: truth_of_events(line, events, config.classes, normal)
                 for name, line in lines.items()}  # fmt: skip
        return found, "events"
    clips = read_clips(paths.clips)
    settled, _ = consensus(read_labels(paths.labels), clips, config.classes)
    found = {name: truth_of_labels(line, clips, settled, config.classes, normal)
             for name, line in lines.items()}  # fmt: skip
    return found, "labeled windows"
