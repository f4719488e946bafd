"""What passes between the store and files of other tools: one judgment of one clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PureWindowsPath

import numpy as np

from vigil.config import Config
from vigil.errors import InputError
from vigil.labels.votes import Kind
from vigil.paths import Paths
from vigil.schema import Clip, Timeline, Tracks, read_clips

_ROUNDING_S = 1e-6
_COVERED = 0.5  # of a clip that a foreign segment must cover to speak of it


@dataclass(frozen=True)
class Record:
    """One judgment of one clip.

    Attributes:
        clip: the window.
        label: one of the project's classes; None where none is given.
        kind: `label`, `unsure`, `skip` or `adjudicate`.
        annotator: who said it, or empty.
        reason: why the clip is skipped, or empty.
        start_s: the event's first moment in seconds of the video, or None.
        end_s: the moment after its last, or None.
        track_ids: persons it concerns, ascending.
        labeled_at: ISO 8601 time, or empty.
    """

    clip: Clip
    label: str | None
    kind: Kind = Kind.LABEL
    annotator: str = ""
    reason: str = ""
    start_s: float | None = None
    end_s: float | None = None
    track_ids: tuple[int, ...] = ()
    labeled_at: str = ""

    @property
    def span_s(self) -> tuple[float, float]:
        """When it happens, in seconds: the event where it is told, else the whole clip."""
        start_s = self.clip.start_s if self.start_s is None else self.start_s
        return start_s, self.clip.end_s if self.end_s is None else self.end_s


class Footage:
    """What a format needs to know of the project's videos."""

    def __init__(
        self,
        clips: Iterable[Clip],
        classes: Sequence[str],
        timeline: Callable[[str], Timeline],
        tracks: Callable[[str], Tracks],
    ) -> None:
        """Take the project's clips and classes, and how a video's tables are read.

        Args:
            clips: of all videos.
            classes: class names in label order.
            timeline: returns a video's frames.
            tracks: returns a video's persons.
        """
        self.clips = {clip.clip_id: clip for clip in clips}
        self.classes = tuple(classes)
        self.timeline = cache(timeline)
        self.tracks = cache(tracks)
        self.videos: dict[str, list[Clip]] = {}
        for clip in self.clips.values():
            self.videos.setdefault(clip.video_id, []).append(clip)

    @classmethod
    def of(cls, config: Config, paths: Paths) -> Footage:
        """Read a project's clips; timelines and tracks are read when they are needed.

        Raises:
            InputError: no clips yet.
        """
        return cls(
            read_clips(paths.clips),
            config.classes,
            lambda video: Timeline.read(paths.timelines / f"{video}.parquet"),
            lambda video: Tracks.read(paths.tracks / f"{video}.parquet"),
        )

    def clip(self, clip_id: str, where: str) -> Clip:
        """Return a clip by its id; `where` begins the error of an unknown one."""
        if clip_id not in self.clips:
            raise InputError(f"{where}: expected a clip of clips.parquet, got {clip_id!r}")
        return self.clips[clip_id]

    def label(self, name: str, where: str) -> str:
        """Return `name` if it is a class, else raise."""
        if name not in self.classes:
            raise InputError(f"{where}: expected one of {list(self.classes)}, got {name!r}")
        return name

    def label_at(self, index: str, where: str, first: int = 0) -> str:
        """Return the class of a number that counts from `first`."""
        try:
            place = int(index) - first
        except ValueError:
            place = -1
        if not 0 <= place < len(self.classes):
            last = first + len(self.classes) - 1
            raise InputError(f"{where}: expected a class from {first} to {last}, got {index!r}")
        return self.classes[place]

    def video(self, name: str, where: str) -> str:
        """Return the id of the video that a file's path or name speaks of."""
        file = PureWindowsPath(name)  # takes both kinds of slashes
        for known in (name, file.name, file.stem):
            if known in self.videos:
                return known
        raise InputError(f"{where}: expected a video of clips.parquet, got {name!r}")

    def frames(self, video: str, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the first frame shown at or after `start_s`, and the first at or after `end_s`."""
        bounds = np.array([start_s, end_s]) - _ROUNDING_S
        first, after = np.searchsorted(self.timeline(video).time_s, bounds)
        return int(first), int(after)

    def seconds(self, video: str, frame: int, where: str) -> float:
        """Return when a frame is shown; the frame after the last is the video's end."""
        timeline = self.timeline(video)
        if not 0 <= frame <= len(timeline):
            raise InputError(f"{where}: expected a frame from 0 to {len(timeline)}, got {frame}")
        return float(timeline.time_s[frame]) if frame < len(timeline) else timeline.duration_s

    def spread(self, record: Mapping[str, object], video: str, start_s: float, end_s: float,
               where: str) -> list[Record]:  # fmt: skip
        """Give a foreign segment to the clips it covers by half or more, or that hold it whole.

        Args:
            record: the other fields of the records.
            video: which video.
            start_s: the segment's first moment.
            end_s: the moment after its last.
            where: begins an error.

        Returns:
            A record per clip. The event's time is told where it is not the whole clip.
        """
        if not 0 <= start_s < end_s < float("inf"):
            raise InputError(f"{where}: expected 0 <= start < end, got {start_s} and {end_s}")
        found = []
        for clip in self.videos[video]:
            low, high = max(start_s, clip.start_s), min(end_s, clip.end_s)
            inside = clip.start_s <= start_s and end_s <= clip.end_s
            if inside or high - low >= _COVERED * (clip.end_s - clip.start_s):
                whole = low - clip.start_s < 1e-3 and clip.end_s - high < 1e-3
                when = {} if whole else {"start_s": low, "end_s": high}
                found.append(Record(clip=clip, **when, **record))  # type: ignore[arg-type]
        return found
