"""The parts of a frame that SAM 2 looks at."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.perception.sam2_crops import plan_crops, square_region


@pytest.mark.parametrize(
    ("boxes", "max_crops", "members"),
    [
        ([[10, 10, 60, 100], [80, 20, 130, 110]], 2, [(0, 1)]),
        ([[10, 10, 60, 100], [560, 20, 610, 110]], 2, [(0,), (1,)]),
        ([[10, 10, 60, 100], [560, 20, 610, 110]], 1, [(0, 1)]),
        ([[10, 10, 60, 100], [300, 20, 350, 110], [380, 20, 430, 110]], 2, [(0,), (1, 2)]),
    ],
    ids=["neighbors share", "far apart", "one allowed", "nearest joined"],
)
def test_crops_are_few_and_tight(
    boxes: list[list[int]], max_crops: int, members: list[tuple[int, ...]]
) -> None:
    crops = plan_crops(np.array(boxes, np.float32), 360, 640, 192, max_crops)
    assert [crop.members for crop in crops] == members


@pytest.mark.parametrize(
    "box",
    [[300, 100, 350, 250], [0, 0, 40, 90], [600, 300, 640, 360], [0, 0, 640, 360]],
    ids=["middle", "corner", "opposite corner", "all"],
)
def test_region_holds_its_box_and_lies_in_the_frame(box: list[int]) -> None:
    left, top, right, bottom = square_region(np.array(box, float), 360, 640)
    assert 0 <= left <= box[0]
    assert 0 <= top <= box[1]
    assert box[2] <= right <= 640
    assert box[3] <= bottom <= 360
    assert right - left == bottom - top or bottom - top == 360
