"""The annotated video: boxes, identities, skeletons and what the recognizer says, as it says it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.drawing import WHITE, Color, color_of, draw_skeleton
from vigil.schema import Skeletons, Tracks
from vigil.video import VideoWriter, decode

_CALM: Color = (70, 190, 110)
_ALARM: Color = (235, 72, 60)
_BANNER = 46
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Verdict:
    """What the recognizer says of one window.

    Attributes:
        start_s: first moment of the window, in seconds.
        end_s: moment after its last.
        label: most probable class.
        probability: of that class.
        alarm: whether that class is an event.
        truth: what people labeled; empty when nobody did.
    """

    start_s: float
    end_s: float
    label: str
    probability: float
    alarm: bool
    truth: str


def annotate(
    video: Path,
    tracks: Tracks,
    skeletons: Skeletons,
    verdicts: Sequence[Verdict],
    out: Path,
) -> None:
    """Write `video` with boxes, skeletons and a banner of the verdict in force to `out`.

    At any moment the verdict in force is that of the window whose middle is nearest.

    Raises:
        InputError: the video cannot be decoded.
    """
    boxes, poses = _by_frame(tracks.frame), _by_frame(skeletons.frame)
    height = tracks.height + _BANNER
    with VideoWriter(out, tracks.width, height) as writer:
        for frame in decode(video):
            canvas = np.zeros((height, tracks.width, 3), np.uint8)
            canvas[_BANNER:] = frame.rgb[: tracks.height, : tracks.width]
            picture = canvas[_BANNER:]
            for row in boxes[frame.index]:
                _draw_box(picture, tracks.xyxy[row], int(tracks.track_id[row]))
            for row in poses[frame.index]:
                color = color_of(int(skeletons.track_id[row]))
                draw_skeleton(picture, skeletons.xy[row], color)
            _draw_banner(canvas[:_BANNER], _verdict_at(verdicts, frame.time_s), frame.time_s)
            writer.write(canvas, frame.time_s)


def _by_frame(frames: NDArray[np.int32]) -> defaultdict[int, list[int]]:
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, frame in enumerate(frames):
        rows[int(frame)].append(row)
    return rows


def _verdict_at(verdicts: Sequence[Verdict], time_s: float) -> Verdict | None:
    return min(
        verdicts, key=lambda v: abs((v.start_s + v.end_s) / 2 - time_s), default=None
    )  # fmt: skip


def _draw_box(picture: NDArray[np.uint8], xyxy: NDArray[np.float32], track_id: int) -> None:
    x1, y1, x2, y2 = (round(float(value)) for value in xyxy)
    color = color_of(track_id)
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, 1, cv2.LINE_AA)
    cv2.rectangle(picture, (x1, y1 - 13), (x1 + 24, y1), color, -1)
    cv2.putText(picture, f"{track_id}", (x1 + 3, y1 - 3), _FONT, 0.38, (20, 20, 20), 1, cv2.LINE_AA)


def _draw_banner(banner: NDArray[np.uint8], verdict: Verdict | None, time_s: float) -> None:
    width = banner.shape[1]
    banner[:] = (24, 26, 30)
    cv2.putText(banner, f"{time_s:5.1f} s", (width - 70, 28), _FONT, 0.45, WHITE, 1, cv2.LINE_AA)
    if verdict is None:
        return
    color = _ALARM if verdict.alarm else _CALM
    cv2.rectangle(banner, (0, 0), (6, _BANNER), color, -1)
    text = f"{verdict.label}  {verdict.probability:.0%}"
    cv2.putText(banner, text, (16, 20), _FONT, 0.55, WHITE, 1, cv2.LINE_AA)
    cv2.rectangle(banner, (16, 30), (216, 38), (60, 62, 68), -1)
    cv2.rectangle(banner, (16, 30), (16 + round(200 * verdict.probability), 38), color, -1)
    if verdict.truth:
        note = f"labeled: {verdict.truth}"
        cv2.putText(banner, note, (236, 38), _FONT, 0.42, (170, 174, 180), 1, cv2.LINE_AA)
