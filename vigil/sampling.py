"""From tracked skeletons to the fixed-size array a recognizer reads; used offline and live alike.

Knows: which persons come first, which frames are taken, how missing values are written. Does not
know: normalization, which lies inside the recognizer's graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError
from vigil.schema import JOINTS, Clip, Skeletons

Sampling = Literal["loop", "stretch"]
_MOTION_PERCENTILE = 90


class ClipShape(Protocol):
    """What says how clips are sampled: the parameters' section, or a trained model's reading."""

    @property
    def clip_len(self) -> int:
        """Frames T."""

    @property
    def max_persons(self) -> int:
        """Persons M."""

    @property
    def sampling(self) -> Sampling:
        """What is done with too few frames; see `sample_indices`."""


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """The persons of one clip.

    Attributes:
        keypoint: (M, n, 17, 2) float32 pixels, most present and moving person first; 0 where
            missing. M may be 0.
        score: (M, n, 17) float32 in [0, 1], 0 where missing.
        track_ids: M identities.
    """

    keypoint: NDArray[np.float32]
    score: NDArray[np.float32]
    track_ids: tuple[int, ...]


def clip_arrays(
    skeletons: Skeletons, clip: Clip, time_s: NDArray[np.float64] | None = None
) -> ClipArrays:
    """Cut one clip out of a video's skeletons.

    The rows are evenly spaced in time: where the frame rate varies, each row shows the frame that
    was on screen at its moment.

    Args:
        skeletons: of the clip's video.
        clip: the window.
        time_s: (F,) presentation times of the video's frames in seconds; without them frames are
            taken as evenly spaced.

    Returns:
        The clip's persons, sorted by `person_order`.

    Raises:
        InputError: the clip is of another video, or has no frame.
    """
    if clip.video_id != skeletons.video_id:
        raise InputError(
            f"{clip.clip_id}: expected skeletons of {clip.video_id}, got {skeletons.video_id}"
        )
    count = clip.end_frame - clip.start_frame
    if count < 1:
        raise InputError(f"{clip.clip_id}: expected at least one frame, got {count}")
    inside = (skeletons.frame >= clip.start_frame) & (skeletons.frame < clip.end_frame)
    identities, person = np.unique(skeletons.track_id[inside], return_inverse=True)
    keypoint = np.zeros((len(identities), count, JOINTS, 2), np.float32)
    score = np.zeros((len(identities), count, JOINTS), np.float32)
    row = skeletons.frame[inside] - clip.start_frame
    keypoint[person, row], score[person, row] = skeletons.xy[inside], skeletons.scores[inside]
    missing = ~np.isfinite(keypoint).all(-1) | (score <= 0)
    keypoint[missing], score[missing] = 0.0, 0.0
    if time_s is not None:
        shown = _even_rows(time_s[clip.start_frame : clip.end_frame])
        keypoint, score = keypoint[:, shown], score[:, shown]
    seen = np.flatnonzero((score > 0).any((1, 2)))
    keypoint, score = keypoint[seen], score[seen]
    order = person_order(keypoint, score, clip.end_s - clip.start_s)
    chosen = tuple(int(identities[seen[index]]) for index in order)
    return ClipArrays(keypoint[order], score[order], chosen)


def _even_rows(time_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return, for evenly spaced moments, the index of the frame shown at each."""
    count = len(time_s)
    if count < 2:
        return np.zeros(count, np.intp)
    interval = float(np.median(np.diff(time_s)))
    span = float(time_s[-1] - time_s[0]) + interval
    moments = time_s[0] + (np.arange(count) + 0.5) * span / count
    shown = np.searchsorted(time_s, moments, side="right") - 1
    return np.asarray(np.clip(shown, 0, count - 1), np.intp)


def person_order(
    keypoint: NDArray[np.float32], score: NDArray[np.float32], duration_s: float
) -> NDArray[np.intp]:
    """Order persons by presence times motion, most first; ties keep the given order.

    Presence is the share of frames with any joint; motion is 1 plus the 90th percentile of joint
    speed in body extents per second, so that one who is always there and moves fast comes first.

    Args:
        keypoint: (M, n, 17, 2) float32 pixels.
        score: (M, n, 17) float32, 0 where missing.
        duration_s: seconds that the n frames span.

    Returns:
        (M,) indices.
    """
    presence = (score > 0).any(-1).mean(-1)
    frame_s = duration_s / max(score.shape[1], 1)
    motion = [
        _peak_speed(joints, seen > 0, frame_s) for joints, seen in zip(keypoint, score, strict=True)
    ]
    return np.argsort(-presence * (1.0 + np.array(motion)), kind="stable")


def _peak_speed(joints: NDArray[np.float32], seen: NDArray[np.bool_], frame_s: float) -> float:
    """Return a high percentile of one person's joint speeds, in body extents per second."""
    extent = body_extent(joints, seen)
    step = 3  # frames; longer than one, so that jitter of the pose network counts less
    both = seen[step:] & seen[:-step]
    if extent <= 0 or frame_s <= 0 or not both.any():
        return 0.0
    distance = np.linalg.norm(joints[step:] - joints[:-step], axis=-1)[both]
    return float(np.percentile(distance, _MOTION_PERCENTILE)) / extent / (step * frame_s)


def body_extent(joints: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """Return the mean over frames of the larger side of one person's joint box, in pixels.

    Args:
        joints: (n, 17, 2) float32 pixels.
        seen: (n, 17) which joints are there.

    Returns:
        Pixels; 0 where no frame has a joint.
    """
    frames = seen.any(-1)
    if not frames.any():
        return 0.0
    mask = seen[frames][..., None]
    low = np.where(mask, joints[frames], np.inf).min(1)
    high = np.where(mask, joints[frames], -np.inf).max(1)
    return float((high - low).max(-1).mean())


def sample_indices(
    total: int, clip_len: int, sampling: Sampling, rng: np.random.Generator | None = None
) -> NDArray[np.intp]:
    """Choose `clip_len` of `total` frames, evenly (UniformSampleFrames of PoseC3D).

    Twice as many frames as wanted or more: one of each of `clip_len` equal segments. Fewer than
    twice: all in order, with some skipped. Fewer than wanted: `loop` repeats the clip, `stretch`
    repeats frames, so that the clip's seconds always fill the array.

    Args:
        total: frames there are, at least 1.
        clip_len: frames wanted.
        sampling: what to do with too few.
        rng: draws within the choices above (training); without it the middle ones are taken.

    Returns:
        (clip_len,) indices in [0, total).

    Raises:
        InputError: no frame.
    """
    if total < 1:
        raise InputError(f"sampling: expected at least one frame, got {total}")
    steps = np.arange(clip_len)
    if total < clip_len:
        if sampling == "stretch":
            offset = 0.5 if rng is None else rng.random()
            return np.asarray((steps + offset) * total / clip_len, np.intp)
        start = 0 if rng is None else int(rng.integers(total))
        return np.asarray((start + steps) % total, np.intp)
    if total < 2 * clip_len:
        extra = total - clip_len
        slots = np.arange(1, extra + 1) * (clip_len + 1) // (extra + 1)
        if rng is not None:
            slots = rng.choice(clip_len + 1, extra, replace=False)
        skips = np.zeros(clip_len + 1, np.intp)
        skips[slots] = 1
        return np.asarray(steps + np.cumsum(skips)[:-1], np.intp)
    edges = np.arange(clip_len + 1) * total // clip_len
    sizes = np.diff(edges)
    offsets = sizes // 2 if rng is None else rng.integers(sizes)
    return np.asarray(edges[:-1] + offsets, np.intp)


def sample_clip(
    arrays: ClipArrays, clip_len: int, max_persons: int, sampling: Sampling, view: int = 0
) -> NDArray[np.float32]:
    """Make the array that a recognizer reads, always the same for the same clip and view.

    Args:
        arrays: the clip's persons, most important first.
        clip_len: frames T that the recognizer wants.
        max_persons: persons M that it wants; the others are left out, missing ones are zero.
        sampling: see `sample_indices`.
        view: 0 takes the middle frames; every other number is another draw among the choices.

    Returns:
        (M, T, 17, 3) float32: x, y in pixels of the original frame, score; 0, 0, 0 where missing.
    """
    rng = np.random.default_rng(view) if view else None
    chosen = sample_indices(arrays.score.shape[1], clip_len, sampling, rng)
    count = min(max_persons, len(arrays.score))
    sampled = np.zeros((max_persons, clip_len, JOINTS, 3), np.float32)
    sampled[:count, ..., :2] = arrays.keypoint[:count, chosen]
    sampled[:count, ..., 2] = arrays.score[:count, chosen]
    return sampled
