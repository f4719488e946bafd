"""Small films of red people on gray ground, and files that only pretend to be films.

A person is a red rectangle of 32 x 64 pixels; `red_networks` finds such people. Good for
everything but how well a real network sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

WIDTH, HEIGHT = 512, 96
PERSON = (32, 64)  # width, height
TOP = 16
RED, GRAY = (230, 20, 20), 128
FPS = 12

Walk = Callable[[int], int | None]  # frame to left edge in pixels; None while out of sight


def walk(start: int, step: int = 4) -> Walk:
    return lambda frame: start + step * frame


def scene(lefts: Sequence[int | None], width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Return one frame with people at the given left edges."""
    rgb = np.full((height, width, 3), GRAY, np.uint8)
    for left in lefts:
        if left is not None:
            rgb[TOP : TOP + PERSON[1], max(left, 0) : left + PERSON[0]] = RED
    return rgb


def film(
    path: Path,
    walks: Sequence[Walk] = (walk(40),),
    frames: int = 24,
    times: Sequence[float] | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    quarter_turns: int = 0,
) -> Path:
    """Write people walking; `quarter_turns` films with the camera turned, and says so."""
    times = [i / FPS for i in range(frames)] if times is None else times
    pictures = (scene([way(i) for way in walks], *size) for i in range(len(times)))
    turned = (np.rot90(picture, -quarter_turns) for picture in pictures)
    return encode(path, turned, times, quarter_turns * 90)


def encode(
    path: Path, pictures: Iterator[np.ndarray], times: Sequence[float], degrees: int = 0
) -> Path:
    """Write H.264 with full color, which allows odd sizes, and exact times."""
    first = next(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "12", "bf": "0", "preset": "ultrafast", "threads": "1"}
        stream.codec_context.time_base = Fraction(1, 90_000)
        if degrees:
            stream.set_display_rotation(degrees)
        for picture, time_s in zip([first, *pictures], times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound(path: Path) -> Path:
    """Write a film without pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.time_base = 8000, Fraction(1, 8000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
