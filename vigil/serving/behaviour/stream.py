"""One camera's frames, in chunks of any size, to what people do: the stages' steps, live.

The answer does not depend on how the frames are cut into chunks. A joint is smoothed over a moment
on both sides, so a box or a window is reported when that moment after it has passed, and what is
left when the stream ends. Memory is bounded: no more is kept than the next window needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.errors import InputError
from vigil.perception.crops import cut
from vigil.perception.detector import PersonDetector
from vigil.perception.embedder import Crops, Embedder, Looks, plan_crops
from vigil.perception.pose import PoseEstimator
from vigil.perception.skeletons import joints_of
from vigil.perception.smoothing import REACH
from vigil.perception.tracker import PersonTracker, TrackedPersons
from vigil.schema import JOINTS, Clip
from vigil.serving.behaviour.judge import Judge, Scene
from vigil.serving.behaviour.kept import Seen, scene_of, skeletons_of
from vigil.serving.behaviour.result import Behaviour
from vigil.serving.behaviour.spec import BehaviourSpec, Network
from vigil.session import Session

Image = NDArray[np.uint8]
_ROUNDING_S = 1e-3


@dataclass(frozen=True)
class Pipeline:
    """The networks, shared by all streams.

    Attributes:
        spec: parameters and limits.
        detector: finds people.
        pose: finds joints.
        embedder: CLIP; None where no recognizer reads embeddings.
        judge: the recognizers.
    """

    spec: BehaviourSpec
    detector: PersonDetector
    pose: PoseEstimator
    embedder: Embedder | None
    judge: Judge

    @classmethod
    def of(cls, spec: BehaviourSpec, connect: Callable[[Network], Session]) -> Self:
        """Build the pipeline; `connect` gives the session of a network.

        Raises:
            ModelError: a network does not fit the parameters.
        """
        return cls(
            spec,
            PersonDetector(connect(spec.find), spec.detector, spec.max_persons),
            PoseEstimator(connect(spec.pose), spec.skeletons),
            Embedder(connect(spec.clip), spec.embed.batch) if spec.clip else None,
            Judge([(connect(one.network), one.reads) for one in spec.recognizers],
                  len(spec.classes)),
        )  # fmt: skip


class Stream:
    """The state of one camera between its chunks of frames."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Begin with nobody known."""
        self._pipeline, self._spec = pipeline, pipeline.spec
        self._tracker = PersonTracker(self._spec.tracker)
        self._looks = Looks(self._spec.embed.every_s)
        self._reach_s = REACH * self._spec.skeletons.smooth_s
        self._kept: deque[Seen] = deque()
        self._size: tuple[int, int] | None = None
        self._origin_s = 0.0
        self._count = self._reported = self._window = 0
        self._last_s = -np.inf

    def check(self, frames: Sequence[Image], time_s: NDArray[np.float64]) -> None:
        """Refuse a chunk that cannot follow what came before; nothing is changed.

        Args:
            frames: (H, W, 3) uint8 RGB each.
            time_s: (T,) float64 presentation times.

        Raises:
            InputError: another number of times than frames, another size of frames, or times that
                do not advance, are not finite or leave a hole.
        """
        if len(frames) != len(time_s):
            raise InputError(f"time_s: expected {len(frames)}, one a frame, got {len(time_s)}")
        size = self._size or (frames[0].shape[:2] if len(frames) else None)
        for frame in frames:
            if frame.shape[:2] != size:
                raise InputError(
                    f"frames: expected {size} (height, width) throughout a stream, "
                    f"got {frame.shape[:2]}"
                )
        if not np.isfinite(time_s).all():
            raise InputError("time_s: expected finite seconds")
        known = self._count > 0
        before = [self._origin_s + self._last_s] if known else []
        steps = np.diff(np.concatenate([before, time_s]))
        hole_s = self._spec.limits.max_gap_s
        if len(steps) and not (steps.min() > 0 and steps.max() <= hole_s):
            raise InputError(
                f"time_s: expected rising seconds at most {hole_s:g} apart, got steps from "
                f"{steps.min():g} to {steps.max():g}"
            )

    def feed(
        self, frames: Sequence[Image], time_s: NDArray[np.float64], last: bool = False
    ) -> Behaviour:
        """Take the next frames; return what became certain.

        Args:
            frames: (H, W, 3) uint8 RGB each, of one size throughout the stream; possibly none.
            time_s: (T,) float64 presentation times in seconds on any clock, rising.
            last: whether the stream ends here; what is left is reported then.

        Raises:
            InputError: see `check`.
            ServerError, ModelError: a network failed; the stream cannot be gone on with.
        """
        self.check(frames, time_s)
        if len(frames) and not self._count:
            height, width = frames[0].shape[:2]
            self._size, self._origin_s = (height, width), float(time_s[0])
        self._take(frames, (time_s - self._origin_s).tolist())
        if not self._kept:
            return self._nothing()
        scene = scene_of(self._kept, self._shape(), self._pipeline.embedder, self._spec.skeletons)
        result = self._report(scene, last)
        self._forget()
        return result

    def _take(self, frames: Sequence[Image], times: Sequence[float]) -> None:
        """Find, follow, pose and embed the people of the next frames."""
        found = self._pipeline.detector.detect(frames)
        persons = [self._tracker.update(*pair) for pair in zip(found, times, strict=True)]
        peopled = [i for i, people in enumerate(persons) if len(people)]
        poses = self._pipeline.pose.estimate([frames[i] for i in peopled])
        posed = dict(zip(peopled, poses, strict=True))
        planned = [self._plan(people, at) for people, at in zip(persons, times, strict=True)]
        vectors = self._embed(frames, planned)
        for i, (people, at) in enumerate(zip(persons, times, strict=True)):
            joints = joints_of(people.xyxy, posed[i], self._spec.skeletons) if i in posed else []
            self._kept.append(Seen(self._count, at, people, joints, planned[i], vectors[i]))
            self._count, self._last_s = self._count + 1, at

    def _plan(self, people: TrackedPersons, time_s: float) -> Crops | None:
        """Decide what CLIP looks at on a frame; None where it does not look."""
        if self._pipeline.embedder is None or not self._looks.due(time_s):
            return None
        height, width = self._shape()
        return plan_crops(people.track_id, people.xyxy, (width, height), self._spec.embed)

    def _embed(
        self, frames: Sequence[Image], planned: Sequence[Crops | None]
    ) -> list[NDArray[np.float32]]:
        """Return the vectors of every frame's crops."""
        embedder = self._pipeline.embedder
        if embedder is None:
            return [np.zeros((0, 0), np.float32)] * len(frames)
        counts = [len(crops.boxes) if crops else 0 for crops in planned]
        pixels = [
            cut(frame, box, embedder.crop_px, self._spec.embed.fill)
            for frame, crops in zip(frames, planned, strict=True)
            for box in (crops.boxes if crops else ())
        ]
        return np.split(embedder.embed(pixels), np.cumsum(counts)[:-1]) if counts else []

    def _report(self, scene: Scene, last: bool) -> Behaviour:
        """Judge the windows that are complete, and report the frames that are."""
        clips = self._windows(scene, last)
        verdict = self._pipeline.judge.judge(scene, clips)
        first = self._kept[0].index
        until_s = np.inf if last else self._last_s - self._reach_s
        after = max(
            (seen.index + 1 for seen in self._kept if seen.time_s <= until_s),
            default=self._reported,
        )
        tracks = scene.tracks
        rows = np.flatnonzero(
            (tracks.frame >= self._reported - first) & (tracks.frame < after - first)
        )
        self._reported = max(after, self._reported)
        spans = [(clip.start_s, clip.end_s) for clip in clips]
        return Behaviour(
            clip_s=np.array(spans, np.float64).reshape(-1, 2) + self._origin_s,
            clip_probabilities=verdict.clip_probabilities,
            person_clip=verdict.person_clip,
            person_track=verdict.person_track,
            person_probabilities=verdict.person_probabilities,
            frame=tracks.frame[rows].astype(np.int64) + first,
            time_s=tracks.time_s[rows] + self._origin_s,
            track=tracks.track_id[rows],
            box=tracks.xyxy[rows],
            score=tracks.score[rows],
            skeleton=skeletons_of(tracks, scene.skeletons, rows),
        )

    def _windows(self, scene: Scene, last: bool) -> list[Clip]:
        """Return the windows that nothing to come can change, and count them off."""
        proposed = propose_clips(scene.timeline, scene.tracks, self._spec.clips, self._window)
        if last:
            return proposed
        until_s = self._last_s - self._reach_s
        self._window = _complete(self._spec.clips, self._window, until_s)
        return [clip for clip in proposed if clip.end_s <= until_s]

    def _forget(self) -> None:
        """Drop what no window or box to come needs."""
        pending = [seen.time_s for seen in self._kept if seen.index >= self._reported]
        least = min([self._window * self._spec.clips.stride_s, *pending[:1]])
        while len(self._kept) > 1 and self._kept[0].time_s < least - self._reach_s - _ROUNDING_S:
            self._kept.popleft()

    def _shape(self) -> tuple[int, int]:
        if self._size is None:
            raise InputError("frames: expected at least one in a stream, got none")
        return self._size

    def _nothing(self) -> Behaviour:
        """Return the answer to a stream without a frame."""
        shape = (0, len(self._spec.recognizers), len(self._spec.classes))
        none = np.zeros(0, np.int32)
        return Behaviour(
            np.zeros((0, 2)), np.zeros(shape, np.float32), none, none, np.zeros(shape, np.float32),
            np.zeros(0, np.int64), np.zeros(0), none, np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32), np.zeros((0, JOINTS, 3), np.float32),
        )  # fmt: skip


def _complete(config: ClipsSection, window: int, until_s: float) -> int:
    """Return the number of the first window, from `window` on, that ends after `until_s`."""
    while window * config.stride_s + config.length_s <= until_s:
        window += 1
    return window
