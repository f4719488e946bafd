"""The annotated video shows the boxes, the joints and the verdict in force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vigil.demo.showcase import Verdict, annotate
from vigil.schema import Skeletons, Tracks
from vigil.video import VideoWriter, decode

HEAD = ("v", 320, 240)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    path = tmp_path / "v.mp4"
    with VideoWriter(path, 320, 240) as writer:
        for index in range(20):
            writer.write(np.full((240, 320, 3), 90, np.uint8), index / 10)
    return path


def people() -> tuple[Tracks, Skeletons]:
    frame = np.full(1, 5, np.int32)
    time_s, track_id = np.full(1, 0.5), np.full(1, 3, np.int32)
    box = np.array([[100, 60, 180, 220]], np.float32)
    joints = np.full((1, 17, 2), np.nan, np.float32)
    joints[0, 5], joints[0, 7] = (120, 90), (130, 130)
    scores = (~np.isnan(joints[..., 0])).astype(np.float32)
    tracks = Tracks(*HEAD, frame, time_s, track_id, box, np.ones(1, np.float32))
    return tracks, Skeletons(*HEAD, frame, time_s, track_id, joints.reshape(1, 34), scores)


def test_people_are_drawn_where_and_when_they_are(grey: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    annotate(grey, *people(), [], out)
    frames = [frame.rgb.astype(int) for frame in decode(out)]
    banner = frames[0].shape[0] - 240
    changed = np.abs(frames[5][banner:] - frames[4][banner:]).sum(2) > 60
    rows, columns = np.nonzero(changed)
    assert 96 <= columns.min() <= 104
    assert 176 <= columns.max() <= 184
    assert rows.max() <= 224
    assert changed[105:115, 118:132].any(), "the limb between the two joints that were found"
    assert not (np.abs(frames[6][banner:] - frames[4][banner:]).sum(2) > 60).any()


def test_the_banner_turns_with_the_verdict(grey: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    verdicts = [
        Verdict(0.0, 1.0, "normal", 0.9, False, "normal"),
        Verdict(1.0, 2.0, "assault", 0.8, True, "assault"),
    ]
    annotate(grey, *people(), verdicts, out)
    edges = [frame.rgb[10:30, 1:4].reshape(-1, 3).mean(0) for frame in decode(out)]
    assert edges[2][1] > edges[2][0], "calm is green"
    assert edges[17][0] > edges[17][1], "an alarm is red"
