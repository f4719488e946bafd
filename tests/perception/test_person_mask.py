"""What is kept of a raw mask: cut, replaced when lost, grown, coded."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from vigil.perception.person_mask import PersonMask, around, extent_iou, finish

SIZE = (90, 160)
BOX = np.array([40, 20, 70, 80], dtype=np.float32)


def raw(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def full(mask: PersonMask, size: tuple[int, int] = SIZE) -> np.ndarray:
    canvas = np.zeros(size, dtype=np.uint8)
    mask.paint(canvas)
    return canvas > 0


def test_a_sound_mask_is_kept_as_it_is() -> None:
    kept = finish(raw(45, 25, 65, 75), BOX, SIZE, "sam2", 0)
    assert kept.source == "sam2"
    np.testing.assert_array_equal(full(kept), raw(45, 25, 65, 75))


def test_hands_may_leave_the_box_but_a_leak_is_cut() -> None:
    hand = finish(raw(36, 25, 70, 75), BOX, SIZE, "sam2", 0)
    np.testing.assert_array_equal(full(hand), raw(36, 25, 70, 75))
    leak = full(finish(raw(45, 25, 160, 75), BOX, SIZE, "sam2", 0))
    assert leak[:, 70:74].any()
    assert not leak[:, 80:].any()


@pytest.mark.parametrize(
    "lost", [None, raw(0, 0, 0, 0), raw(100, 20, 130, 80), raw(50, 40, 53, 43)],
    ids=["no mask", "empty", "elsewhere", "a speck"],
)  # fmt: skip
def test_a_lost_mask_becomes_the_box_and_says_so(lost: np.ndarray | None) -> None:
    kept = finish(lost, BOX, SIZE, "sam2", 0)
    assert kept.source == "box"
    np.testing.assert_array_equal(full(kept), raw(40, 20, 70, 80))


def test_growing_adds_so_many_pixels_on_every_side() -> None:
    grown = full(finish(raw(45, 25, 65, 75), BOX, SIZE, "detector", 3))
    rows, columns = np.flatnonzero(grown.any(axis=1)), np.flatnonzero(grown.any(axis=0))
    assert (rows[0], rows[-1] + 1) == (22, 78)
    assert (columns[0], columns[-1] + 1) == (42, 68)
    assert not grown[22, 42], "the corners of a grown mask are round"


@pytest.mark.parametrize(
    "box", [[-5, -5, 10, 30], [150, 60, 165, 95], [159.5, 89.5, 160, 90], [80, 10, 80, 10]],
    ids=["top left", "bottom right", "last pixel", "no area"],
)  # fmt: skip
def test_boxes_at_the_border_stay_inside_the_frame(box: list[float]) -> None:
    kept = finish(None, np.array(box, dtype=np.float32), SIZE, "sam2", 4)
    assert full(kept).any()
    assert kept.left >= 0
    assert kept.top >= 0
    assert kept.left + kept.pixels.shape[1] <= SIZE[1]
    assert kept.top + kept.pixels.shape[0] <= SIZE[0]


def test_the_run_length_code_is_cocos() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.random((30, 20)) > 0.4
    mask = PersonMask(left=100, top=50, pixels=pixels, source="sam2")
    decoded = coco.decode({"size": list(SIZE), "counts": mask.rle(*SIZE)}).astype(bool)
    np.testing.assert_array_equal(decoded, full(mask))
    np.testing.assert_array_equal(decoded[50:80, 100:120], pixels)


def test_painting_never_erases_a_neighbor() -> None:
    canvas = np.zeros(SIZE, dtype=np.uint8)
    for mask in (raw(40, 20, 60, 80), raw(50, 20, 70, 80)):
        finish(mask, BOX, SIZE, "sam2", 0).paint(canvas)
    np.testing.assert_array_equal(canvas > 0, raw(40, 20, 70, 80))


def test_extent_overlap_counts_the_masks_bounding_box() -> None:
    assert extent_iou(raw(40, 20, 70, 80), BOX) == 1
    assert extent_iou(raw(40, 20, 55, 80), BOX) == pytest.approx(0.5)
    assert extent_iou(raw(100, 20, 130, 80), BOX) == 0
    assert extent_iou(np.zeros(SIZE, dtype=bool), BOX) == 0


def test_around_rounds_outwards() -> None:
    assert around(np.array([10.4, 20.6, 30.2, 40.9]), 0, SIZE) == (10, 20, 31, 41)
    assert around(np.array([10.4, 20.6, 30.2, 40.9]), 2, SIZE) == (8, 18, 33, 43)
