"""What judges a video at moments: CLIP asked in words, and trained recognizers in sliding windows.

Knows: which windows a recognizer is shown, when nobody is in one, and what stands in then. Does not
know: how frames get their scores from moments (`vigil.frames`), or how good those are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.clips import propose_clips
from vigil.config import ClipsSection, Config, View
from vigil.dataset import annotation
from vigil.ensemble import Trained, load
from vigil.evaluation import predict
from vigil.frames import Moments
from vigil.models.reading import Reading
from vigil.schema import Clip, Embeddings, Skeletons, Timeline, Tracks
from vigil.sequences import kinds
from vigil.tokens import token_row
from vigil.zero_shot import ZeroShot, moments

_SHORTEST_S = 1e-3  # of a window: a video shorter than one is one

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Footage:
    """One video as the systems see it.

    Attributes:
        timeline: its frames.
        tracks: who is where.
        embeddings: of these tracks and of whole frames.
        skeletons: of these tracks; without rows where nobody looked for them.
    """

    timeline: Timeline
    tracks: Tracks
    embeddings: Embeddings
    skeletons: Skeletons


@dataclass(frozen=True)
class System:
    """Somebody who judges videos.

    Attributes:
        name: what its scores are filed under.
        judge: what it says of one video.
        reads_skeletons: whether it looks at skeletons.
    """

    name: str
    judge: Callable[[Footage], Moments]
    reads_skeletons: bool = False


def zero_shot_system(asked: ZeroShot, view: View) -> System:
    """Return the system `zero_shot_<view>`: every sampled frame is a moment."""

    def judge(footage: Footage) -> Moments:
        return moments(footage.embeddings, asked.judge(footage.embeddings), view, asked.normal)

    return System(f"zero_shot_{view}", judge)


def trained_system(
    name: str, trained: Trained, config: Config, shares: NDArray[np.floating[Any]]
) -> System:
    """Return a trained recognizer or ensemble as a system: every window is a moment.

    A window is as long as what the network was trained on: a sequence's span, or a clip where it
    reads skeletons. Where nobody is in a window, a network of embeddings is shown the whole frame
    instead; one of skeletons alone knows nothing, and the shares of the classes stand in.

    Args:
        name: of the recognizer or ensemble.
        trained: where it lies.
        config: the sections `clips` and `frames`.
        shares: (C,) of the classes in training.

    Raises:
        ModelError: no trained network there.
    """
    reads = load(trained, name)[1].reads

    def judge(footage: Footage) -> Moments:
        clips = windows(footage, seconds(reads, config), config.frames.stride_s)
        rows = [window_row(clip, footage) for clip in clips]
        people = np.array([anybody(row, reads) for row in rows])
        said = predict(trained, rows)
        fallback = np.tile(np.asarray(shares, np.float32), (len(rows), 1))
        if _reads(reads, "embeddings"):
            fallback = predict(trained, [without_people(row) for row in rows])
        when = {"center": 0.5, "end": 1.0}[config.frames.anchor]
        times = np.array([clip.start_s + when * (clip.end_s - clip.start_s) for clip in clips])
        return Moments(times, np.where(people[:, None], said, np.float32(np.nan)), fallback)

    return System(name, judge, _reads(reads, "keypoints"))


def _reads(reads: Reading, tensor: str) -> bool:
    return any(one.name == tensor for one in reads.inputs)


def seconds(reads: Reading, config: Config) -> float:
    """Return how long a window must be for what a network reads."""
    if _reads(reads, "keypoints"):
        return config.clips.length_s
    return float(reads.facts["span_s"])


def windows(footage: Footage, length_s: float, stride_s: float) -> list[Clip]:
    """Return windows of `length_s` every `stride_s`; a shorter video is one window."""
    section = ClipsSection(length_s=length_s, stride_s=stride_s, min_length_s=_SHORTEST_S)
    return propose_clips(footage.timeline, footage.tracks, section)


def window_row(clip: Clip, footage: Footage) -> Row:
    """Return an unlabeled annotation of a window, with all that recognizers read."""
    skeletons = annotation(clip, 0, "", footage.skeletons, footage.timeline)
    return skeletons | token_row(clip, footage.embeddings, None)


def anybody(row: Mapping[str, Any], reads: Reading) -> bool:
    """Tell whether a window shows anything that a network was trained on."""
    crops = str(reads.facts.get("crops", "")).split(",")
    seen = _reads(reads, "embeddings") and np.isin(kinds(row["token_track"]), crops).any()
    return bool(seen) or (_reads(reads, "keypoints") and len(row["keypoint"]) > 0)


def without_people(row: Mapping[str, Any]) -> Row:
    """Return a window's annotation with nobody in it but the whole frame."""
    whole = kinds(row["token_track"]) == "frame"
    tokens = ("token_time_s", "token_track", "token_label", "embedding")
    nobody = {name: row[name][:0] for name in ("keypoint", "keypoint_score")}
    return {**row, **nobody, **{name: row[name][whole] for name in tokens}}


def no_skeletons(timeline: Timeline) -> Skeletons:
    """Return the skeletons of a video in which nobody looked for any."""
    none = np.zeros(0, np.int32)
    return Skeletons(
        timeline.video_id, timeline.width, timeline.height, none, np.zeros(0), none,
        np.zeros((0, 34), np.float32), np.zeros((0, 17), np.float32),
    )  # fmt: skip


def class_shares(rows: Sequence[Mapping[str, Any]], classes: int) -> NDArray[np.float32]:
    """Return the (classes,) shares of the labels of annotations, at least one."""
    counts = np.bincount([row["label"] for row in rows], minlength=classes)
    return np.asarray(counts / counts.sum(), np.float32)
