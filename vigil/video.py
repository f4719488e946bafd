"""Reading and writing video through PyAV: exact presentation times, bounded memory.

Frames are decoded one at a time, never collected; rotation metadata is applied, so that every
consumer sees upright pixels. Output is H.264 in MP4 that browsers play and seek.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

if TYPE_CHECKING:
    import av

SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"})
_TIME_BASE = Fraction(1, 90_000)


@dataclass(frozen=True)
class Frame:
    """One decoded frame.

    Attributes:
        index: 0-based position in decoding order.
        time_s: presentation time in seconds from the first frame, strictly increasing.
        rgb: (H, W, 3) uint8 RGB, upright.
    """

    index: int
    time_s: float
    rgb: NDArray[np.uint8]


def list_videos(folder: Path) -> list[Path]:
    """Return the video files right inside `folder`, sorted by name.

    Raises:
        InputError: the folder is missing or two files would share one video id.
    """
    if not folder.is_dir():
        raise InputError(f"videos: {folder}: expected a folder of videos, got none")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    seen: dict[str, Path] = {}
    for path in found:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise InputError(
                f"videos: {path.name}: expected names that differ before the suffix, "
                f"got the same as {other.name}"
            )
    return found


def decode(path: Path, max_height: int | None = None) -> Iterator[Frame]:
    """Yield the frames of `path` in presentation order.

    Args:
        path: a video file.
        max_height: scale higher frames down to so many pixels, to even sizes and their own shape;
            it costs less than scaling what is decoded at full size.

    Frames without a usable time stamp follow their predecessor by one nominal frame interval. A
    stream that breaks off in the middle yields what could be decoded; the header's frame count
    is never believed.

    Raises:
        InputError: no video stream, or not a single frame can be decoded.
    """
    import av

    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise _undecodable(path, _reason(error)) from error
    with container:
        if not container.streams.video:
            raise _undecodable(path, "no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        yield from _frames(path, container, stream, max_height)


def _frames(path: Path, container: Any, stream: Any, max_height: int | None) -> Iterator[Frame]:
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    interval = float(1 / rate)
    index, first, last = 0, None, -interval
    broken: Exception | None = None
    decoder = _decoded(container, stream)
    while True:
        try:
            frame = next(decoder)
        except StopIteration:
            break
        except Exception as error:
            broken = error
            break
        stamp = None if frame.pts is None else float(frame.pts * frame.time_base)
        if first is None:
            first = stamp if stamp is not None else 0.0
        time_s = last + interval if stamp is None else stamp - first
        if time_s <= last:
            time_s = last + interval
        last = time_s
        yield Frame(index, time_s, _upright(frame, max_height))
        index += 1
    if index == 0:
        raise _undecodable(path, "0 frames" if broken is None else _reason(broken))


def _decoded(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    """Decode packet by packet; a damaged packet is skipped, a broken container ends the stream."""
    import av

    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError:
                continue
    except av.FFmpegError:
        return


def _upright(frame: av.VideoFrame, max_height: int | None) -> NDArray[np.uint8]:
    quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
    shown = frame.width if quarter_turns % 2 else frame.height
    options: dict[str, Any] = {}
    if max_height is not None and shown > max_height:
        width, height = (2 * round(side * max_height / shown / 2) for side in
                         (frame.width, frame.height))  # fmt: skip
        options = {"width": max(width, 2), "height": max(height, 2), "interpolation": "AREA"}
    rgb = frame.to_ndarray(format="rgb24", **options)
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns)) if quarter_turns else rgb


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__


def _undecodable(path: Path, got: str) -> InputError:
    return InputError(f"{path.name}: expected a decodable video stream, got {got}")


class VideoWriter:
    """Write H.264 (yuv420p, faststart) to `path`; the file appears only when complete.

    Use as a context manager. Odd sizes are padded by one pixel on the right or bottom, since
    yuv420p needs even ones.

    Args:
        path: the MP4 file to appear.
        width: frame width in pixels.
        height: frame height in pixels.
        keyframe_s: seconds between key frames; short groups make browser seeking exact.
        crf: x264 quality, 0 (lossless) to 51.
    """

    def __init__(
        self, path: Path, width: int, height: int, *, keyframe_s: float = 1.0, crf: int = 23
    ) -> None:
        import av

        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._pad = (height % 2, width % 2)
        self._keyframe_s = keyframe_s
        self._next_key = 0.0
        self._container = av.open(
            str(self._partial), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._stream: Any = self._container.add_stream("libx264", rate=Fraction(30))
        self._stream.width = width + width % 2
        self._stream.height = height + height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": str(crf), "preset": "veryfast", "bf": "0", "threads": "1"}
        self._stream.codec_context.time_base = _TIME_BASE

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, rgb: NDArray[np.uint8], time_s: float, *, key: bool = False) -> None:
        """Append one frame, (H, W, 3) uint8 RGB, presented at `time_s` seconds.

        It is a key frame where the last one is `keyframe_s` ago, or `key` asks for it.
        """
        import av

        if any(self._pad):
            rgb = np.pad(rgb, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts = round(time_s / float(_TIME_BASE))
        frame.time_base = _TIME_BASE
        if key or time_s >= self._next_key:
            frame.pict_type = av.video.frame.PictureType.I
            self._next_key = time_s + self._keyframe_s
        self._container.mux(self._stream.encode(frame))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()
        if kind is None:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)
