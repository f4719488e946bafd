"""Windows to probabilities: each recognizer is asked about every window and everybody in it.

Knows: how the stages make a clip's arrays, and that a person alone is the same clip with nobody
else in it. Does not know: who runs the networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.dataset import clip_row
from vigil.models.reading import Reading, SequenceReading, SkeletonReading
from vigil.sampling import ClipArrays, clip_arrays
from vigil.schema import Clip, Embeddings, Skeletons, Timeline, Tracks
from vigil.session import Session
from vigil.tokens import token_row

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known of a stretch of one video; frames are counted from the stretch's first.

    Attributes:
        timeline: its frames.
        tracks: its people.
        skeletons: their joints, smoothed.
        embeddings: what CLIP sees; None where no recognizer asks.
    """

    timeline: Timeline
    tracks: Tracks
    skeletons: Skeletons
    embeddings: Embeddings | None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What recognizers say of W windows and P persons in them; see `Behaviour`."""

    clip_probabilities: NDArray[np.float32]
    person_clip: NDArray[np.int32]
    person_track: NDArray[np.int32]
    person_probabilities: NDArray[np.float32]


class Judge:
    """Recognizers of the same classes behind their sessions."""

    def __init__(self, recognizers: Sequence[tuple[Session, Reading]], classes: int) -> None:
        """Take each recognizer with how it reads; all have so many classes."""
        self._recognizers = tuple(recognizers)
        self._classes = classes

    def judge(self, scene: Scene, clips: Sequence[Clip]) -> Verdict:
        """Ask every recognizer about every clip and every person in it.

        Args:
            scene: holds all frames of the clips.
            clips: windows of the scene.
        """
        rows: list[Row] = []
        people: list[tuple[int, int, int]] = []  # row, clip, track
        places: list[int] = []
        arrays: list[ClipArrays] = []
        for number, clip in enumerate(clips):
            found = clip_arrays(scene.skeletons, clip, scene.timeline.time_s)
            whole = _row(scene, clip, found)
            places.append(len(rows))
            rows.append(whole)
            arrays.append(found)
            for track in _present(scene.tracks, clip):
                people.append((len(rows), number, track))
                rows.append(_alone(whole, found, track))
        answers = self._ask(rows)
        at = np.array([row for row, _, _ in people], np.intp)
        return Verdict(
            answers[places],
            np.array([clip for _, clip, _ in people], np.int32),
            np.array([track for _, _, track in people], np.int32),
            answers[at],
        )

    def _ask(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """Return the (rows, R, C) probabilities, NaN where nothing is to be read."""
        answers = np.full((len(rows), len(self._recognizers), self._classes), np.nan, np.float32)
        for number, (session, reads) in enumerate(self._recognizers):
            told = [i for i, row in enumerate(rows) if not row["alone"] or _readable(row, reads)]
            if not told:
                continue
            batch = reads.batch([rows[i] for i in told])
            given = session.run(batch.feeds)["probabilities"]
            answers[told, number] = reads.settle(given, batch.owner, len(told))
        return answers


def _row(scene: Scene, clip: Clip, arrays: ClipArrays) -> Row:
    """Return a clip as the data set holds it, embeddings beside."""
    row = clip_row(clip, arrays, (scene.tracks.height, scene.tracks.width)) | {"alone": False}
    if scene.embeddings is None:
        return row
    return row | token_row(clip, scene.embeddings, None)


def _alone(row: Row, arrays: ClipArrays, track: int) -> Row:
    """Return the same clip with nobody but `track` in it; pairs with `track` stay."""
    mine = [index for index, other in enumerate(arrays.track_ids) if other == track]
    alone = {
        "alone": True,
        "keypoint": arrays.keypoint[mine],
        "keypoint_score": arrays.score[mine],
    }
    if "embedding" in row:
        involved = (row["token_track"] == track).any(axis=1)
        names = ("token_time_s", "token_track", "token_label", "embedding")
        alone |= {name: row[name][involved] for name in names}
    return row | alone


def _readable(row: Row, reads: Reading) -> bool:
    """Tell whether a recognizer has anything to go by."""
    joints = len(row["keypoint"]) > 0
    if isinstance(reads, SkeletonReading):
        return joints
    seen = len(row["embedding"]) > 0
    return seen if isinstance(reads, SequenceReading) else seen or joints


def _present(tracks: Tracks, clip: Clip) -> list[int]:
    """Return the ids seen in a window, rising."""
    inside = (tracks.frame >= clip.start_frame) & (tracks.frame < clip.end_frame)
    present: list[int] = np.unique(tracks.track_id[inside]).tolist()
    return present
