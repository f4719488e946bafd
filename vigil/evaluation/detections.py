"""Average precision of boxes and joints by COCO's rules, with an interval by video.

pycocotools matches what was found with who is there; everything after is arithmetic on those
matches, so that a resample of videos is a weight per detection (see `statistics`) and costs no
second matching.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vigil.config import EvaluateSection
from vigil.evaluation.comparing import Difference, verdict
from vigil.evaluation.metrics import Metric, bounded
from vigil.evaluation.statistics import Weights, resamples
from vigil.perception.poses import Poses
from vigil.schema import JOINTS

Kind = Literal["bbox", "keypoints"]
Rows = Sequence[Mapping[str, Any]]
AP50, OKS_AP = "ap50", "oks_ap"
NAMES: dict[Kind, str] = {"bbox": AP50, "keypoints": OKS_AP}
_THRESHOLDS: dict[Kind, NDArray[np.float64]] = {
    "bbox": np.array([0.5]),
    "keypoints": np.linspace(0.5, 0.95, 10),
}
_MOST: dict[Kind, int] = {"bbox": 100, "keypoints": 20}  # detections of an image, as COCO has it
_RECALLS = np.linspace(0, 1, 101)
_CHUNK = 2_000_000  # values per array of weights


@dataclass(frozen=True, eq=False)
class Matches:
    """What was found on all images, D detections by falling score, at T thresholds.

    Attributes:
        videos: V names, sorted.
        persons: (V,) int64, who is there and counts.
        owner: (D,) the detection's video, as a position in `videos`.
        right: (T, D) bool, detections that are somebody who counts.
        wrong: (T, D) bool, detections that are nobody; on somebody who does not count they are
            neither.
    """

    videos: tuple[str, ...]
    persons: NDArray[np.int64]
    owner: NDArray[np.intp]
    right: NDArray[np.bool_]
    wrong: NDArray[np.bool_]


def box_results(boxes: NDArray[np.floating[Any]], scores: NDArray[Any]) -> list[dict[str, Any]]:
    """Return (N, 4) xyxy boxes and their (N,) scores in COCO's result format, without image ids."""
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    rows = np.concatenate([corner, size], axis=1).astype(float).tolist()
    return [
        {"category_id": 1, "bbox": row, "score": float(score)}
        for row, score in zip(rows, scores, strict=True)
    ]


def pose_results(poses: Poses) -> list[dict[str, Any]]:
    """Return one image's poses in COCO's result format, without image ids."""
    joints = np.concatenate([poses.keypoints, poses.keypoint_scores[..., None]], axis=2)
    rows = joints.reshape(len(poses), 3 * JOINTS).astype(float).tolist()
    return [
        {"category_id": 1, "keypoints": row, "score": float(score)}
        for row, score in zip(rows, poses.scores, strict=True)
    ]


def match(
    kind: Kind, videos: Sequence[str], people: Sequence[Rows], found: Sequence[Rows]
) -> Matches:
    """Match what was found on images with who is there.

    Args:
        kind: `bbox` by overlap (at least 0.5), `keypoints` by object keypoint similarity (at ten
            thresholds from 0.50 to 0.95).
        videos: each image's video.
        people: each image's COCO annotations; ids are given here. Those with `iscrowd` do not
            count.
        found: each image's detections in COCO's result format.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
        truth = COCO()
        truth.dataset = {
            "info": {}, "categories": [{"id": 1, "name": "person"}],
            "images": [{"id": number} for number in range(len(videos))],
            "annotations": _numbered(people),
        }  # fmt: skip
        truth.createIndex()
        told = [{**one, "image_id": number} for number, rows in enumerate(found) for one in rows]
        scorer = COCOeval(truth, truth.loadRes(told) if told else COCO(), kind)
        scorer.params.imgIds = list(range(len(videos)))
        scorer.params.iouThrs = _THRESHOLDS[kind]
        scorer.params.areaRng = scorer.params.areaRng[:1]
        scorer.params.maxDets = [_MOST[kind]]
        scorer.evaluate()
    return _matches(videos, [one for one in scorer.evalImgs if one is not None], kind)


def _numbered(people: Sequence[Rows]) -> list[dict[str, Any]]:
    """Return the annotations of all images with ids, from 1: COCO takes 0 for no match."""
    rows = [
        {"category_id": 1, **one, "image_id": number}
        for number, present in enumerate(people)
        for one in present
    ]
    return [row | {"id": number} for number, row in enumerate(rows, 1)]


def _matches(videos: Sequence[str], images: Sequence[Mapping[str, Any]], kind: Kind) -> Matches:
    names, place = np.unique(np.asarray(videos), return_inverse=True)
    persons = np.zeros(len(names), np.int64)
    for image in images:
        persons[place[image["image_id"]]] += int((np.asarray(image["gtIgnore"]) == 0).sum())
    none = np.zeros((len(_THRESHOLDS[kind]), 0), bool)
    hit = np.concatenate([none, *(image["dtMatches"] > 0 for image in images)], axis=1)
    skipped = np.concatenate([none, *(image["dtIgnore"] > 0 for image in images)], axis=1)
    owner = [place[image["image_id"]] for image in images for _ in image["dtScores"]]
    scores = np.array([score for image in images for score in image["dtScores"]], float)
    order = np.argsort(-scores, kind="stable")
    return Matches(
        tuple(names.tolist()), persons, np.array(owner, np.intp)[order],
        (hit & ~skipped)[:, order], (~hit & ~skipped)[:, order],
    )  # fmt: skip


def average_precision(found: Matches, weights: Weights) -> NDArray[np.float64]:
    """Compute COCO's average precision, mean over thresholds, under each weighting of the videos.

    Args:
        found: the matches.
        weights: (R, V), how often each video counts.

    Returns:
        (R,) in [0, 1]; NaN where nobody is there.
    """
    total, each = weights @ found.persons, weights[:, found.owner]
    values = [
        _area((each * right).cumsum(1), (each * wrong).cumsum(1), total)
        for right, wrong in zip(found.right, found.wrong, strict=True)
    ]
    return np.where(total > 0, np.mean(values, axis=0), np.nan)


def _area(hits: Weights, false: Weights, total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over 101 recalls of the best precision from there on, (R,)."""
    precision = hits / np.maximum(hits + false, np.finfo(float).tiny)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # recalls that are never reached
    recall = hits / np.maximum(total, 1)[:, None]
    return np.array([
        row[np.searchsorted(reached, _RECALLS)].mean()
        for row, reached in zip(best, recall, strict=True)
    ])  # fmt: skip


def measure_precision(found: Matches, params: EvaluateSection) -> Metric:
    """Return the average precision with its 95 % interval; n: persons that count."""
    value = average_precision(found, np.ones((1, len(found.videos))))[0]
    draws = np.concatenate([average_precision(found, part) for part in _draws(found, params)])
    return bounded(float(value), draws[np.isfinite(draws)], None, int(found.persons.sum()))


def compare_precision(
    name: str, first: Matches, second: Matches, params: EvaluateSection
) -> Difference:
    """Compare two runs on the same images: each resample draws videos once for both.

    Args:
        name: of the metric.
        first: the run to compare with.
        second: the run in question.
        params: number and seed of the resamples.
    """
    ones = np.ones((1, len(first.videos)))
    a, b = (float(average_precision(run, ones)[0]) for run in (first, second))
    draws = np.concatenate([
        average_precision(second, part) - average_precision(first, part)
        for part in _draws(first, params)
    ])  # fmt: skip
    low, high = (float(end) for end in np.percentile(draws[np.isfinite(draws)], (2.5, 97.5)))
    return Difference(name, a, b, low, high, verdict(name, low, high))


def _draws(found: Matches, params: EvaluateSection) -> Iterator[Weights]:
    """Yield the resamples' weights, few enough at once for an array per detection."""
    for weights in resamples(found.videos, params.bootstrap, params.seed):
        size = max(1, _CHUNK // max(1, len(found.owner)))
        yield from (weights[start : start + size] for start in range(0, len(weights), size))
