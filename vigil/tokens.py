"""The embeddings of labeled clips beside the annotation file: `embeddings.pkl`.

Each annotation has the CLIP embeddings of everybody in its window, and which class each of them
shows at that moment where the events file tells. Sequences are cut from them when they are read,
so models of other lengths and spans share one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.dataset import ANNOTATIONS, EMBEDDINGS, read_annotations, write_annotations
from vigil.errors import InputError
from vigil.events import involved
from vigil.schema import Clip, Embeddings, Event, Tracks
from vigil.sequences import UNKNOWN, kinds

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """What is known of one video.

    Attributes:
        embeddings: its file of embeddings.
        tracks: its file of tracks; events are joined to them.
    """

    embeddings: Path
    tracks: Path


@dataclass(frozen=True)
class TokenSummary:
    """What became of the clips.

    Attributes:
        clips: annotations with embeddings.
        trackless: clips in which nobody is tracked: their whole frames stand in.
        empty: clips without any embedding, not even of the frame; all zeros stand in.
        told: share of the persons' and pairs' embeddings whose class the events file tells.
        clip: the CLIP they are of.
        dim: their width.
    """

    clips: int
    trackless: int
    empty: int
    told: float
    clip: str
    dim: int

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.clips} clips with embeddings of {self.clip} ({self.dim} wide); "
            f"{self.trackless} without any track: their whole frames stand in; "
            f"{self.empty} without any embedding; {self.told:.0%} told by events"
        )


def build_tokens(
    folder: Path,
    clips: Sequence[Clip],
    sources: Mapping[str, Sources],
    events: Sequence[Event] | None,
    classes: Sequence[str],
    normal: int,
) -> TokenSummary:
    """Write `embeddings.pkl` for every annotation in `folder`.

    Args:
        folder: holds `annotations.pkl`.
        clips: the clips of all videos.
        sources: by video id.
        events: what happens when; None where nobody said.
        classes: class names in label order.
        normal: index of the class that is not an event.

    Returns:
        What was written.

    Raises:
        InputError: a clip's video without embeddings, or embeddings of more than one CLIP.
    """
    splits, annotations = read_annotations(folder / ANNOTATIONS, embeddings=False)
    windows = {clip.clip_id: clip for clip in clips}
    by_video: dict[str, list[Clip]] = defaultdict(list)
    for row in annotations:
        by_video[row["video_id"]].append(windows[row["frame_dir"]])
    rows: list[dict[str, Any]] = []
    for video_id, members in by_video.items():
        if video_id not in sources:
            raise InputError(f"dataset: {video_id}: expected embeddings, got none; run `embed`")
        table = Embeddings.read(sources[video_id].embeddings)
        label = None
        if events is not None:
            here = [event for event in events if event.video_id == video_id]
            tracks = Tracks.read(sources[video_id].tracks)
            label = told(table, tracks, here, list(classes), normal)
        rows += [token_row(clip, table, label) for clip in members]
    found = {(row["clip"], row["embedding"].shape[1]) for row in rows}
    if len(found) != 1:
        raise InputError(f"dataset: expected embeddings of one CLIP, got {sorted(found)}")
    write_annotations(folder / EMBEDDINGS, splits, rows)
    return _summary(rows, *found.pop())


def token_row(clip: Clip, table: Embeddings, label: NDArray[np.int16] | None) -> dict[str, Any]:
    """Return what one annotation's embeddings are.

    Args:
        clip: a window of the embeddings' video.
        table: embeddings.
        label: (N,) class that each shows, -1 where nobody said; None: nobody said anything.
    """
    inside = (table.time_s >= clip.start_s) & (table.time_s < clip.end_s)
    count = int(inside.sum())
    return {
        "frame_dir": clip.clip_id,
        "clip": table.clip,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "token_time_s": table.time_s[inside],
        "token_track": np.stack([table.track_id[inside], table.other_id[inside]], axis=1),
        "token_label": np.full(count, UNKNOWN, np.int16) if label is None else label[inside],
        "embedding": table.embedding[inside],
    }


def told(
    table: Embeddings, tracks: Tracks, events: Sequence[Event], classes: Sequence[str], normal: int
) -> NDArray[np.int16]:
    """Tell which class every embedding of a video shows, given all that happens in it.

    A person whom an event names shows it while it lasts, and so does a pair with such a person;
    everybody else is normal. During an event that names nobody, it is unknown who shows it. The
    whole frame shows whatever happens.

    Args:
        table: embeddings.
        tracks: of the same video.
        events: of the same video.
        classes: class names in label order.
        normal: index of the class that is not an event.

    Returns:
        (N,) class per embedding, -1 where it is unknown.
    """
    label = np.full(len(table), normal, np.int16)
    frame = table.track_id < 0
    for event in events:
        shown = classes.index(event.label)
        now = (table.time_s >= event.start_s) & (table.time_s < event.end_s)
        if shown == normal:
            continue
        who = sorted(involved(event, tracks))
        there = np.isin(table.track_id, who) | np.isin(table.other_id, who)
        named = there if who else np.zeros(len(table), bool)
        label[now & (named | frame)] = shown
        if not who:
            label[now & ~frame & (label == normal)] = UNKNOWN
    return label


def _summary(rows: Sequence[Row], clip: str, dim: int) -> TokenSummary:
    """Count what people should know of."""
    people = [kinds(row["token_track"]) != "frame" for row in rows]
    said = [row["token_label"][who] for row, who in zip(rows, people, strict=True)]
    joined = np.concatenate(said)
    return TokenSummary(
        len(rows),
        sum(not who.any() and len(who) > 0 for who in people),
        sum(not len(who) for who in people),
        float((joined != UNKNOWN).mean()) if len(joined) else 0.0,
        clip,
        dim,
    )
