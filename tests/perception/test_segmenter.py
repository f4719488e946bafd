"""Masks for tracked people: aligned with them, cheap without them, in bounded portions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from tests.videos import HEIGHT, TOP, WIDTH, scene
from vigil.perception.person_mask import PersonMask
from vigil.perception.sam2_crops import boxes_in_crop, crop_input
from vigil.perception.segmenter import (
    DetectorSegmenter,
    ImageSegmenter,
    Segmenter,
    VideoSegmenter,
)
from vigil.perception.tracker import TrackedPersons

FOUR_K = (2160, 3840)


def people(*rows: tuple[int, int], masks: np.ndarray | None = None) -> TrackedPersons:
    """Red people from (track id, left edge)."""
    ids = np.array([row[0] for row in rows], dtype=np.int32)
    lefts = np.array([row[1] for row in rows], dtype=np.float32).reshape(-1, 1)
    xyxy = np.concatenate([lefts, lefts * 0 + TOP, lefts + 32, lefts * 0 + TOP + 64], axis=1)
    return TrackedPersons(ids, xyxy, np.ones(len(ids), dtype=np.float32), masks)


def painted(masks: Sequence[PersonMask]) -> np.ndarray:
    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for mask in masks:
        mask.paint(canvas)
    return canvas > 0


@pytest.fixture(scope="module")
def untrained() -> Any:
    """A SAM2 that has learned nothing: its masks are noise, its shapes are right."""
    import torch

    from vigil.perception.sam2 import build_sam2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model: Any = build_sam2("demo", video=True)
    model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(10)  # "it is there"
    return model


def test_the_detectors_masks_go_to_their_persons() -> None:
    own = np.zeros((2, HEIGHT, WIDTH), dtype=bool)
    own[0, TOP + 5 : TOP + 60, 45:70] = True
    some = people((1, 40), (2, 200), masks=own)
    ((first, second),) = DetectorSegmenter(0).segment([scene([40, 200])], [some])
    assert (first.source, second.source) == ("detector", "box")
    np.testing.assert_array_equal(painted([first]), own[0])
    assert painted([second])[TOP : TOP + 64, 200:232].all()


def sam2_segmenter(model: object, mode: str, crop: bool = True) -> Segmenter:
    return (
        VideoSegmenter(model, 0.5, crop, 0) if mode == "video" else ImageSegmenter(model, crop, 0)
    )


@pytest.mark.parametrize("mode", ["image", "video"])
def test_frames_without_people_never_reach_the_network(untrained: Any, mode: str) -> None:
    calls: list[int] = []
    watch = untrained.image_encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    drawn = list(sam2_segmenter(untrained, mode).segment([scene([])] * 3, [people()] * 3))
    watch.remove()
    assert drawn == [[], [], []]
    assert not calls


@pytest.mark.parametrize("crop", [True, False])
def test_both_modes_of_sam2_answer_every_person_of_every_frame(untrained: Any, crop: bool) -> None:
    persons = [people(), people((1, 40)), people((1, 44), (7, 300)), people((7, 304)), people()]
    frames = [scene(some.xyxy[:, 0].astype(int).tolist()) for some in persons]
    for mode in ("image", "video"):
        drawn = list(sam2_segmenter(untrained, mode, crop).segment(frames, persons))
        assert [len(masks) for masks in drawn] == [0, 1, 2, 1, 0]
        for masks, some in zip(drawn, persons, strict=True):
            for mask, box in zip(masks, some.xyxy, strict=True):
                assert mask.source in {"sam2", "box"}
                columns = np.flatnonzero(painted([mask]).any(axis=0))
                assert box[0] - 8 <= columns[0] <= columns[-1] <= box[2] + 8


def test_on_a_key_frame_video_mode_sees_what_image_mode_sees(untrained: Any) -> None:
    """The same region, box and weights give the same logits, to what JPEG leaves of the image."""
    import torch

    from vigil.perception import sam2

    region, some = (20, 0, 116, 96), people((3, 40))
    rng = np.random.default_rng(0)
    frame = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 3)
    video = VideoSegmenter(untrained, 1.0, True, 0)
    (seen,) = video._propagate([frame], [some], region)
    with torch.inference_mode():
        pixels = crop_input(frame, region, untrained.image_size)
        box = torch.from_numpy(boxes_in_crop(some.xyxy, region, untrained.image_size))
        logits, _, _ = sam2.decode(untrained, sam2.encode(untrained, pixels[None]), box)
    expected = cv2.resize(logits[0, 0].numpy(), seen[3].shape)
    assert np.corrcoef(seen[3].ravel(), expected.ravel())[0, 1] > 0.98


def test_video_mode_keeps_sam2_quiet(untrained: Any, capfd: pytest.CaptureFixture[str]) -> None:
    list(sam2_segmenter(untrained, "video").segment([scene([40])], [people((1, 40))]))
    assert capfd.readouterr() == ("", "")


def test_large_crowded_frames_come_in_small_portions(untrained: Any) -> None:
    for segmenter, held in (
        (DetectorSegmenter(0), 3 + 20),
        (sam2_segmenter(untrained, "image"), 3),
        (sam2_segmenter(untrained, "video"), 3),
    ):
        assert segmenter.chunk_frames(360, 640, 20) >= 8
        at_once = segmenter.chunk_frames(*FOUR_K, 20)
        assert 1 <= at_once * held * FOUR_K[0] * FOUR_K[1] <= 300 << 20


def test_key_frames_come_as_often_as_asked(untrained: Any) -> None:
    assert sam2_segmenter(untrained, "video").chunk_s == 0.5
    assert sam2_segmenter(untrained, "image").chunk_s == float("inf")
