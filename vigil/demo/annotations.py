"""COCO annotations of synthetic frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.demo.world.render import FrameTruth
from vigil.demo.world.skeleton import COCO_KEYPOINTS

MIN_FRACTION = 0.2  # less visible than this counts as crowd: neither found nor missed
MIN_PIXELS = 60

SKELETON = ((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8),
            (7, 9), (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6),
            (5, 7))  # fmt: skip

CATEGORY: dict[str, Any] = {
    "id": 1,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(COCO_KEYPOINTS),
    "skeleton": [list(edge) for edge in SKELETON],
}


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode an (H, W) mask as COCO compressed run lengths, `counts` as text."""
    from pycocotools import mask as coco_mask

    code = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(v) for v in code["size"]], "counts": code["counts"].decode("ascii")}


def keypoint_triples(truth: FrameTruth, person: int) -> list[float]:
    """Return the 51 COCO numbers x, y, v of one person; outside joints are 0, 0, 0."""
    seen = truth.visibility[person]
    xy = np.where(seen[:, None] > 0, truth.keypoints[person], 0.0)
    rows = np.column_stack([np.round(xy, 2), seen])
    return [float(v) for v in rows.ravel()]


def coco_annotations(truth: FrameTruth, image_id: int) -> list[dict[str, Any]]:
    """Return the COCO annotations of a frame, without ids."""
    rows = []
    for i in range(len(truth.track_ids)):
        x0, y0, x1, y1 = (float(v) for v in truth.boxes[i])
        area = int(truth.masks[i].sum())
        hidden = bool(truth.visible_fraction[i] < MIN_FRACTION or area < MIN_PIXELS)
        rows.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": area,
                "iscrowd": int(hidden),
                "segmentation": encode_mask(truth.masks[i]),
                "keypoints": keypoint_triples(truth, i),
                "num_keypoints": int((truth.visibility[i] > 0).sum()),
                "visible_fraction": round(float(truth.visible_fraction[i]), 4),
            }
        )
    return rows
