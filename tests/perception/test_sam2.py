"""SAM 2.1 answers box prompts as sam2's own predictor does, whole frames or crops of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vigil.perception import sam2

WEIGHTS = Path(sam2.__file__).parents[1] / "demo" / "weights" / "sam2.safetensors"
BOXES = np.array([[20, 30, 90, 150], [200, 60, 260, 170]], np.float32)


@pytest.fixture(scope="module")
def demo() -> torch.nn.Module:
    return sam2.load_sam2(WEIGHTS)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    return np.kron(noise, np.ones((16, 16, 1), np.uint8))


def test_whole_frame_agrees_with_sam2s_own_predictor(
    demo: torch.nn.Module, frame: np.ndarray
) -> None:
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(demo)
    predictor._bb_feat_sizes = [(64, 64), (32, 32), (16, 16)]
    predictor.set_image(frame)
    expected, quality, _ = predictor.predict(box=BOXES, multimask_output=False)
    masks, scores = sam2.predict_masks(demo, frame, BOXES, crop=False)
    assert masks.shape == (2, *frame.shape[:2])
    assert (masks != (expected[:, 0] > 0)).mean() < 1e-3
    np.testing.assert_allclose(scores, quality[:, 0], atol=1e-3)


@pytest.mark.parametrize("crop", [True, False])
def test_boxes_together_are_masked_as_each_alone(
    demo: torch.nn.Module, frame: np.ndarray, crop: bool
) -> None:
    together, scores = sam2.predict_masks(demo, frame, BOXES, crop=crop, max_crops=2)
    if crop:
        assert len(sam2.plan_crops(BOXES, *frame.shape[:2], 100, 2)) == 2
    for i, box in enumerate(BOXES):
        plan = sam2.plan_crops(BOXES, *frame.shape[:2], 256, 2)
        if crop and len(plan) == 1:
            pytest.skip("both boxes share a crop, whose region depends on both")
        alone, score = sam2.predict_masks(demo, frame, box[None], crop=crop)
        assert (alone[0] != together[i]).mean() < 1e-3
        np.testing.assert_allclose(score[0], scores[i], atol=1e-3)
