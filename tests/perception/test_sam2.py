"""SAM 2.1 answers box prompts as sam2's own predictor does, whole frames or crops of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vigil.demo.images import make_images
from vigil.demo.mask_data import read_scenes
from vigil.demo.mask_metrics import evaluate
from vigil.errors import InputError, ModelError
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
    predictor._bb_feat_sizes = [(demo.image_size // s,) * 2 for s in (4, 8, 16)]
    predictor.set_image(frame)
    expected, quality, _ = predictor.predict(box=BOXES, multimask_output=False)
    masks, scores = sam2.predict_masks(demo, frame, BOXES, crop=False)
    assert masks.shape == (2, *frame.shape[:2])
    assert (masks != (expected[:, 0] > 0)).mean() < 1e-3
    np.testing.assert_allclose(scores, quality[:, 0], atol=1e-3)


@pytest.mark.parametrize("crop", [True, False])
def test_boxes_together_are_masked_as_each_alone(demo: torch.nn.Module, crop: bool) -> None:
    """Two persons far apart, in one call of the decoder."""
    noise = np.random.default_rng(1).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    wide = np.kron(noise, np.ones((10, 10, 1), np.uint8))
    boxes = np.array([[20, 30, 90, 190], [660, 180, 720, 390]], np.float32)
    together, scores = sam2.predict_masks(demo, wide, boxes, crop=crop)
    for i, box in enumerate(boxes):
        alone, score = sam2.predict_masks(demo, wide, box[None], crop=crop)
        assert (alone[0] != together[i]).mean() < 1e-3
        np.testing.assert_allclose(score[0], scores[i], atol=1e-3)


def test_crowd_is_masked_in_chunks(demo: torch.nn.Module, frame: np.ndarray) -> None:
    boxes = np.stack([BOXES[0] + [0, i, 0, i] for i in range(20)]).astype(np.float32)
    crowd, _ = sam2.predict_masks(demo, frame, boxes, crop=False)
    last, _ = sam2.predict_masks(demo, frame, boxes[-1:], crop=False)
    assert (crowd[-1] != last[0]).mean() < 1e-3


def test_frame_without_boxes_has_no_masks(demo: torch.nn.Module, frame: np.ndarray) -> None:
    masks, scores = sam2.predict_masks(demo, frame, np.zeros((0, 4), np.float32))
    assert masks.shape == (0, *frame.shape[:2])
    assert len(scores) == 0


def test_demo_weights_mask_held_out_people(demo: torch.nn.Module, tmp_path: Path) -> None:
    """Scenes of the test split, boxes as a detector gives them."""
    make_images(tmp_path, 6, 1, "test", workers=1)
    metrics = evaluate(demo, read_scenes(tmp_path))
    assert metrics["persons"] >= 6
    assert metrics["mean_iou"] > 0.6


def test_saved_weights_rebuild_the_same_network(
    demo: torch.nn.Module, frame: np.ndarray, tmp_path: Path
) -> None:
    sam2.save_sam2(demo.state_dict(), tmp_path / "again.safetensors")
    again = sam2.load_sam2(tmp_path / "again.safetensors")
    first, _ = sam2.predict_masks(demo, frame, BOXES)
    second, _ = sam2.predict_masks(again, frame, BOXES)
    np.testing.assert_array_equal(first, second)


def test_official_checkpoint_layout_is_read(demo: torch.nn.Module, tmp_path: Path) -> None:
    torch.save({"model": demo.state_dict()}, tmp_path / "sam2.pt")
    again = sam2.load_sam2(tmp_path / "sam2.pt", video=True)
    assert type(again).__name__ == "SAM2VideoPredictor"
    assert not again.training


@pytest.mark.parametrize(("variant", "millions"), [("demo", 10.1), ("tiny", 38.9), ("small", 46.0)])
def test_variants_have_their_published_size(variant: str, millions: float) -> None:
    size = sum(p.numel() for p in sam2.build_sam2(variant).parameters()) / 1e6
    assert size == pytest.approx(millions, abs=0.15)


def test_bad_input_is_refused(demo: torch.nn.Module, frame: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected one of demo, tiny"):
        sam2.build_sam2("huge")
    with pytest.raises(ModelError, match="expected a weights file"):
        sam2.load_sam2(tmp_path / "none.pt")
    with pytest.raises(ModelError, match="expected weights of tiny"):
        sam2.load_sam2(WEIGHTS, "tiny")
    with pytest.raises(InputError, match=r"expected \(N, 4\)"):
        sam2.predict_masks(demo, frame, BOXES[0])
    with pytest.raises(InputError, match=r"expected .* uint8"):
        sam2.predict_masks(demo, frame.astype(np.float32), BOXES)
