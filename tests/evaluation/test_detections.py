"""Average precision is COCO's, a resample is a weight, and a worse network is told from noise."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.skeletons import config
from vigil.evaluation.detections import (
    Kind,
    Matches,
    average_precision,
    box_results,
    compare_precision,
    match,
    measure_precision,
    pose_results,
)
from vigil.perception.poses import Poses

PARAMS = config().evaluate.model_copy(update={"bootstrap": 300})
Rows = list[dict[str, Any]]


def image(rng: np.random.Generator, noise: float) -> tuple[Rows, Rows, Rows]:
    """Return people of one image, found boxes and found poses; some are missed, some nobody."""
    count = int(rng.integers(0, 5))
    corner = rng.uniform(0, 400, (count, 2))
    size = rng.uniform([30, 60], [60, 120], (count, 2))
    joints = corner[:, None] + rng.uniform(0, 1, (count, 17, 2)) * size[:, None]
    people = [
        {
            "bbox": [*corner[i], *size[i]], "area": float(size[i].prod()),
            "iscrowd": int(rng.random() < 0.2), "num_keypoints": 17,
            "keypoints": np.column_stack([joints[i], np.full(17, 2)]).ravel().tolist(),
        }
        for i in range(count)
    ]  # fmt: skip
    found = np.flatnonzero(rng.random(count) < 0.8)
    ghosts = int(rng.integers(0, 3))
    moved = rng.normal(0, noise, (len(found), 1, 2))
    corners = np.concatenate([corner[found] + moved[:, 0], rng.uniform(0, 400, (ghosts, 2))])
    boxes = np.concatenate(
        [corners, corners + np.concatenate([size[found], np.full((ghosts, 2), 50)])], 1
    )
    scores = rng.random(len(boxes))
    guessed = np.concatenate([joints[found] + moved, rng.uniform(0, 400, (ghosts, 17, 2))])
    poses = Poses(boxes, scores, guessed, np.full(guessed.shape[:2], 0.9))  # type: ignore[arg-type]
    return people, box_results(boxes, scores), pose_results(poses)


def scenes(
    kind: Kind, seed: int = 0, noise: float = 4.0, count: int = 24
) -> tuple[list[str], list[Rows], list[Rows]]:
    rng = np.random.default_rng(seed)
    made = [image(rng, noise) for _ in range(count)]
    found = [boxes if kind == "bbox" else poses for _, boxes, poses in made]
    return [f"v{i // 4}" for i in range(count)], [people for people, *_ in made], found


def coco(kind: Kind, people: Sequence[Rows], found: Sequence[Rows]) -> float:
    """Return what pycocotools says by itself: AP50 of boxes, AP of joints."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        rows = [
            one | {"image_id": i, "category_id": 1} for i, some in enumerate(people) for one in some
        ]
        truth.dataset = {
            "info": {}, "categories": [{"id": 1}],
            "images": [{"id": i} for i in range(len(people))],
            "annotations": [row | {"id": i} for i, row in enumerate(rows, 1)],
        }  # fmt: skip
        truth.createIndex()
        told = [one | {"image_id": i} for i, some in enumerate(found) for one in some]
        scorer = COCOeval(truth, truth.loadRes(told), kind)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return float(scorer.stats[1 if kind == "bbox" else 0])


def value(found: Matches, weights: Sequence[float] | None = None) -> float:
    given = [1.0] * len(found.videos) if weights is None else weights
    return float(average_precision(found, np.array([given]))[0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_it_is_what_pycocotools_says(kind: Kind, seed: int) -> None:
    videos, people, found = scenes(kind, seed)
    wanted = coco(kind, people, found)
    assert 0.05 < wanted < 0.95
    assert value(match(kind, videos, people, found)) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_a_video_drawn_twice_counts_as_if_it_were_there_twice(kind: Kind) -> None:
    videos, people, found = scenes(kind)
    drawn = [0, 0, 3, 5, 5, 5]
    at = [i for video in drawn for i in range(4 * video, 4 * video + 4)]
    twice = match(kind, videos, [people[i] for i in at], [found[i] for i in at])
    weights = np.bincount(drawn, minlength=6).astype(float).tolist()
    assert value(match(kind, videos, people, found), weights) == pytest.approx(value(twice))


def test_nobody_found_is_zero_and_nobody_there_is_no_figure() -> None:
    videos, people, found = scenes("bbox")
    none: list[Rows] = [[] for _ in videos]
    assert value(match("bbox", videos, people, none)) == 0.0
    assert np.isnan(value(match("bbox", videos, none, found)))


def test_the_interval_holds_the_value_and_counts_persons() -> None:
    videos, people, found = scenes("bbox")
    metric = measure_precision(match("bbox", videos, people, found), PARAMS)
    assert metric["low"] < metric["value"] < metric["high"]
    assert metric["n"] == sum(not one["iscrowd"] for some in people for one in some)


@pytest.mark.parametrize("kind", ["bbox", "keypoints"])
def test_a_shifted_network_is_worse_and_the_same_one_is_not(kind: Kind) -> None:
    videos, people, found = scenes(kind, noise=2.0, count=40)
    _, _, shifted = scenes(kind, noise=40.0, count=40)
    first, second = (match(kind, videos, people, some) for some in (found, shifted))
    same = compare_precision("ap", first, first, PARAMS)
    assert (same.verdict, same.low, same.high) == ("within noise", 0.0, 0.0)
    assert compare_precision("ap", first, second, PARAMS).verdict == "worse"
    assert compare_precision("ap", second, first, PARAMS).verdict == "better"
