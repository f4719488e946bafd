"""Held-out figures of a pose network on COCO-format images: OKS AP and PCK@0.2.

OKS AP is pycocotools' keypoint AP (mean over OKS 0.50 to 0.95, at most 20 persons per image).
PCK@0.2 follows mmpose's PCKAccuracy with its box norm: the share of labeled joints within 0.2 times
the longer side of the person's true box. It is given over the persons that were found (matched
greedily at box IoU of 0.5 or more) and over all persons, where a missed person's joints count as
wrong.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.evaluation.detections import pose_results
from vigil.perception.poses import Poses


def evaluate(folder: Path, predictions: Iterable[tuple[int, Poses]]) -> dict[str, float]:
    """Score predictions against a COCO-format folder's `annotations.json`.

    Args:
        folder: where the annotations lie.
        predictions: COCO image id and poses in pixels of the original image; images that are not
            named here are left out of the figures.

    Returns:
        `oks_ap`, `oks_ap50`, `oks_ap75`, `pck_found`, `pck_all` in [0, 1], and the counts
        `images` and `persons`.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found = dict(predictions)
    told = [
        one | {"image_id": image} for image, poses in found.items() for one in pose_results(poses)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = COCO(str(folder / "annotations.json"))
        detected = truth.loadRes(told) if told else COCO()
        scorer = COCOeval(truth, detected, "keypoints")
        scorer.params.imgIds = sorted(found)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    right_found = labeled_found = labeled_all = persons = 0
    for image_id, poses in found.items():
        annotations = [
            annotation
            for annotation in truth.imgToAnns[image_id]
            if not annotation["iscrowd"] and any(annotation["keypoints"][2::3])
        ]
        persons += len(annotations)
        for annotation, pose in zip(annotations, _match(annotations, poses), strict=True):
            labeled = np.array(annotation["keypoints"]).reshape(17, 3)
            mask = labeled[:, 2] > 0
            labeled_all += int(mask.sum())
            if pose is not None:
                distance = np.linalg.norm(poses.keypoints[pose] - labeled[:, :2], axis=1)
                near = distance <= 0.2 * max(annotation["bbox"][2:])
                right_found += int((near & mask).sum())
                labeled_found += int(mask.sum())
    return {
        "oks_ap": float(scorer.stats[0]),
        "oks_ap50": float(scorer.stats[1]),
        "oks_ap75": float(scorer.stats[2]),
        "pck_found": right_found / max(labeled_found, 1),
        "pck_all": right_found / max(labeled_all, 1),
        "images": float(len(found)),
        "persons": float(persons),
    }


def _match(annotations: list[dict[str, Any]], poses: Poses) -> list[int | None]:
    """For each annotation the row of the best free pose with a box IoU of at least 0.5."""
    taken: set[int] = set()
    matches: list[int | None] = []
    for annotation in annotations:
        x, y, width, height = annotation["bbox"]
        ious = _iou(np.array([x, y, x + width, y + height]), poses.boxes)
        order = [int(row) for row in np.argsort(-ious) if ious[row] >= 0.5 and row not in taken]
        matches.append(order[0] if order else None)
        taken.update(order[:1])
    return matches


def _iou(box: NDArray[np.float64], boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """IoU of one xyxy box with (N, 4) others."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    total: NDArray[np.float64] = common / ((box[2:] - box[:2]).prod() + areas - common)
    return total
