"""The kept frames of a stream as the stages' tables, and back to one skeleton a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.config import SkeletonsSection
from vigil.perception.embedder import Crops, Embedder, table
from vigil.perception.smoothing import smooth
from vigil.perception.tracker import TrackedPersons
from vigil.schema import JOINTS, Skeletons, Timeline, Tracks
from vigil.serving.behaviour.judge import Scene

_NAME = "stream"


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What was found on one frame.

    Attributes:
        index: of the frame in its stream, from 0.
        time_s: seconds since the stream's first frame.
        persons: who was followed.
        joints: place of a person among them, (17, 2) float32 pixels and (17,) float32 scores.
        crops: what CLIP looked at; None where it did not look.
        vectors: (crops, D) float32.
    """

    index: int
    time_s: float
    persons: TrackedPersons
    joints: list[tuple[int, NDArray[np.float32], NDArray[np.float32]]]
    crops: Crops | None
    vectors: NDArray[np.float32]


def scene_of(
    kept: Sequence[Seen],
    size: tuple[int, int],
    embedder: Embedder | None,
    skeletons: SkeletonsSection,
) -> Scene:
    """Return what is kept as the stages' tables, frames counted from the first kept one.

    Args:
        kept: consecutive frames, at least one.
        size: height and width of the frames in pixels.
        embedder: CLIP; None where no recognizer reads embeddings.
        skeletons: how joints are smoothed.
    """
    height, width = size
    head = (_NAME, width, height)
    first = kept[0].index
    rows = [(seen, i) for seen in kept for i in range(len(seen.persons))]
    tracks = Tracks(
        *head,
        np.array([seen.index - first for seen, _ in rows], np.int32),
        np.array([seen.time_s for seen, _ in rows], np.float64),
        np.concatenate([seen.persons.track_id for seen in kept]),
        np.concatenate([seen.persons.xyxy for seen in kept]),
        np.concatenate([seen.persons.score for seen in kept]),
    )
    embeddings = None
    if embedder is not None:
        looked = [seen for seen in kept if seen.crops is not None]
        dim = embedder.dim
        embeddings = table(
            head,
            embedder.clip,
            [(s.index - first, s.time_s, s.crops) for s in looked if s.crops is not None],
            np.concatenate([np.zeros((0, dim), np.float32), *(s.vectors for s in looked)]),
        )
    timeline = Timeline(*head, np.array([seen.time_s for seen in kept], np.float64))
    return Scene(timeline, tracks, _smoothed(kept, head, skeletons), embeddings)


def _smoothed(
    kept: Sequence[Seen], head: tuple[str, int, int], skeletons: SkeletonsSection
) -> Skeletons:
    first = kept[0].index
    rows = [(seen, *joints) for seen in kept for joints in seen.joints]
    points = np.array([xy for _, _, xy, _ in rows], np.float32)
    found = Skeletons(
        *head,
        np.array([seen.index - first for seen, *_ in rows], np.int32),
        np.array([seen.time_s for seen, *_ in rows], np.float64),
        np.array([seen.persons.track_id[person] for seen, person, *_ in rows], np.int32),
        points.reshape(-1, 2 * JOINTS),
        np.array([score for *_, score in rows], np.float32).reshape(-1, JOINTS),
    )
    return smooth(found, skeletons.smooth_s)


def skeletons_of(
    tracks: Tracks, skeletons: Skeletons, rows: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return the (N, 17, 3) skeletons of the tracks' rows; zeros where missing."""
    place = {
        (frame, track): i
        for i, (frame, track) in enumerate(
            zip(skeletons.frame.tolist(), skeletons.track_id.tolist(), strict=True)
        )
    }
    joined = np.zeros((len(rows), JOINTS, 3), np.float32)
    keys = zip(tracks.frame[rows].tolist(), tracks.track_id[rows].tolist(), strict=True)
    for row, key in enumerate(keys):
        if key in place:
            joined[row, :, :2] = np.nan_to_num(skeletons.xy[place[key]])
            joined[row, :, 2] = skeletons.scores[place[key]]
    return joined
