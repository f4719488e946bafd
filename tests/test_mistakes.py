"""A mistake's picture shows its people, each in a color, at moments when they are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.skeletons import annotation
from vigil.drawing import PALETTE
from vigil.mistakes import MOMENTS, strip, write_sheet


def painted(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - color).sum(2) < 30).sum())


def tiles(picture: np.ndarray) -> list[np.ndarray]:
    width = (picture.shape[1] + 3) // MOMENTS
    return [picture[:, i * width : i * width + width - 3] for i in range(MOMENTS)]


def row(**changes: Any) -> dict[str, Any]:
    return annotation(0, 1) | changes


def test_every_moment_shows_every_person_in_a_color_of_its_own() -> None:
    for tile in tiles(strip(row(), 2)):
        assert painted(tile, PALETTE[0]) > 100
        assert painted(tile, PALETTE[1]) > 100
        assert painted(tile, PALETTE[2]) == 0


def test_persons_that_the_recognizer_was_not_given_are_drawn_thin() -> None:
    assert painted(strip(row(), 1), PALETTE[1]) < 0.7 * painted(strip(row(), 2), PALETTE[1])


def test_moments_without_anybody_are_skipped() -> None:
    """Two people are seen in the last three of 24 frames only."""
    clip = row()
    clip["keypoint_score"][:, :21] = 0
    for tile in tiles(strip(clip, 2)):
        assert painted(tile, PALETTE[0]) > 100


def test_a_missing_joint_is_not_drawn() -> None:
    clip = row()
    whole = painted(strip(clip, 2), PALETTE[0])
    clip["keypoint_score"][0, :, 11:] = 0
    assert painted(strip(clip, 2), PALETTE[0]) < 0.8 * whole


@pytest.mark.parametrize(
    "clip",
    [
        row(keypoint=np.zeros((0, 24, 17, 2)), keypoint_score=np.zeros((0, 24, 17))),
        row(keypoint_score=np.zeros((2, 24, 17))),
        row(keypoint=np.zeros((1, 0, 17, 2)), keypoint_score=np.zeros((1, 0, 17))),
        row(keypoint=np.ones((1, 9, 25, 3)), keypoint_score=np.ones((1, 9, 25))),
    ],
    ids=["nobody", "no joint", "no frame", "25 joints on one point"],
)
def test_odd_clips_are_drawn_all_the_same(clip: dict[str, Any]) -> None:
    assert strip(clip, 2).shape == strip(row(), 2).shape


def test_the_sheet_is_a_picture_of_all_mistakes(tmp_path: Path) -> None:
    rows = {f"영상 ${i}": row() for i in range(3)}
    found = [
        {"clip_id": name, "video_id": "v$_^", "group": "g", "label": "normal",
         "predicted": "폭행", "probability": 0.9} for name in rows
    ]  # fmt: skip
    write_sheet(tmp_path / "three.png", found, rows, 2)
    write_sheet(tmp_path / "one.png", found[:1], rows, 2)
    write_sheet(tmp_path / "none.png", [], rows, 2)
    three, one = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("three", "one"))
    shown = [painted(picture[..., ::-1], PALETTE[0]) for picture in (three, one)]
    assert shown[0] > 2.5 * shown[1] > 0
    assert cv2.imread(str(tmp_path / "none.png")) is not None
