"""How well a SAM 2.1 masks the people of held-out scenes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from vigil.demo.mask_data import Scenes, jitter_boxes
from vigil.perception import sam2

if TYPE_CHECKING:
    import torch


def evaluate(
    model: torch.nn.Module,
    scenes: Scenes,
    crop: bool = True,
    max_crops: int = 2,
    share: float = 0.05,
) -> dict[str, float]:
    """Mask accuracy from box prompts, at the images' own size.

    Args:
        model: a SAM 2.1.
        scenes: held-out images.
        crop: as for `vigil.perception.sam2.predict_masks`.
        max_crops: likewise.
        share: the true boxes are moved at random by up to this share of their size.

    Returns:
        `mean_iou`, `median_iou`, `iou_above_half` over persons, `score_error` (mean distance of
        the estimated from the real IoU), `persons`, `images`, `core_ms_per_image`.
    """
    rng = np.random.default_rng(0)
    overlaps: list[float] = []
    errors: list[float] = []
    seconds = 0.0
    for i in range(len(scenes.files)):
        rgb = scenes.image(i)
        boxes = jitter_boxes(scenes.boxes[i], rng, share)
        start = time.process_time()
        masks, scores = sam2.predict_masks(model, rgb, boxes, crop, max_crops)
        seconds += time.process_time() - start
        for person, (mask, score) in enumerate(zip(masks, scores, strict=True)):
            truth = scenes.mask(i, person) > 0
            overlaps.append((mask & truth).sum() / max((mask | truth).sum(), 1))
            errors.append(abs(overlaps[-1] - float(score)))
    return {
        "mean_iou": float(np.mean(overlaps)),
        "median_iou": float(np.median(overlaps)),
        "iou_above_half": float(np.mean(np.array(overlaps) > 0.5)),
        "score_error": float(np.mean(errors)),
        "persons": len(overlaps),
        "images": len(scenes.files),
        "core_ms_per_image": 1000 * seconds / len(scenes.files),
    }
