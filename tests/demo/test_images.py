"""Training images: COCO files, disjoint splits."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from vigil.demo.annotations import MIN_FRACTION
from vigil.demo.images import SPLITS, Shares, _room_seed, make_images, scene_seeds
from vigil.demo.world.scenes import room_of
from vigil.demo.world.skeleton import tilt


def test_splits_never_share_a_scene_seed() -> None:
    seen: set[int] = set()
    for split in SPLITS:
        for seed in (0, 1, 99):
            seeds = set(scene_seeds(split, seed, 5000))
            assert len(seeds) == 5000
            assert not seeds & seen
            seen |= seeds


@pytest.mark.parametrize(
    ("split", "seed", "n"), [("dev", 1, 5), ("train", 100, 5), ("val", 1, 10**7)]
)
def test_seeds_outside_the_ranges_are_refused(split: str, seed: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        scene_seeds(split, seed, n)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"), 10, 7, "val", workers=1)


def test_the_file_is_coco_with_keypoints_and_masks(made: Path) -> None:
    from pycocotools import mask as coco_mask
    from pycocotools.coco import COCO

    coco = COCO(str(made))
    assert len(coco.imgs) == 10
    assert coco.cats[1]["keypoints"][0] == "nose"
    assert len(coco.anns) >= 10
    for ann in coco.anns.values():
        mask = coco.annToMask(ann)
        x, y, w, h = ann["bbox"]
        assert mask.sum() == ann["area"]
        assert np.allclose(coco_mask.toBbox(ann["segmentation"]), [x, y, w, h])
        triples = np.array(ann["keypoints"]).reshape(17, 3)
        assert ann["num_keypoints"] == (triples[:, 2] > 0).sum()
        assert ann["visible_fraction"] >= MIN_FRACTION or ann["iscrowd"] == 1


def test_each_image_has_the_declared_size(made: Path) -> None:
    for record in json.loads(made.read_text())["images"]:
        image = cv2.imread(str(made.parent / "images" / record["file_name"]))
        assert image.shape == (record["height"], record["width"], 3)


def test_workers_give_the_same_images_as_one_process(made: Path, tmp_path: Path) -> None:
    again = make_images(tmp_path, 10, 7, "val", workers=2)
    assert again.read_text() == made.read_text()
    for path in (made.parent / "images").iterdir():
        assert path.read_bytes() == (tmp_path / "images" / path.name).read_bytes()


def test_where_falls_are_asked_for_people_lie(tmp_path: Path) -> None:
    def lying(falls: float) -> float:
        made = make_images(tmp_path / str(falls), 24, 7, "val", workers=1, shares=Shares(falls))
        rows = json.loads(made.read_text())["annotations"]
        joints = np.array([row["keypoints"] for row in rows], float).reshape(-1, 1, 17, 3)[..., :2]
        images = np.array([row["image_id"] for row in rows])
        return len(set(images[tilt(joints)[:, 0] > 0.3].tolist())) / 24

    assert lying(1.0) >= 0.75
    assert lying(0.0) <= 0.25


def test_where_night_is_asked_for_pictures_have_no_color(tmp_path: Path) -> None:
    def gray(night: float) -> float:
        shares = Shares(night=night)
        made = make_images(tmp_path / str(night), 24, 7, "val", workers=1, shares=shares)
        pictures = [cv2.imread(str(path)) for path in (made.parent / "images").iterdir()]
        return float(
            np.mean([np.ptp(picture.astype(int), axis=2).mean() < 1 for picture in pictures])
        )

    assert gray(1.0) == 1.0
    assert gray(0.0) <= 0.5


def test_a_room_at_night_is_never_of_another_split() -> None:
    last = scene_seeds("train", 99, 1_000_000)[-4:]  # of the last room
    rooms = [_room_seed(first, 1.0) for first in (last[0], last[0] - 4, last[0] - 8)]
    assert all(room_of(room).infrared for room in rooms)
    assert all(SPLITS["train"] == room // 100_000_000 for room in rooms)


def test_where_acts_are_asked_for_people_are_at_each_other(tmp_path: Path) -> None:
    """On more images than by chance two boxes touch: six of the eight acts are between two."""

    def touching(acts: float) -> float:
        made = make_images(tmp_path / str(acts), 40, 8, "val", workers=2, shares=Shares(acts=acts))
        boxes = defaultdict(list)
        for row in json.loads(made.read_text())["annotations"]:
            x, y, width, height = row["bbox"]
            boxes[row["image_id"]].append((x, y, x + width, y + height))
        near = [any(_touch(*pair) for pair in combinations(found, 2)) for found in boxes.values()]
        return sum(near) / 40

    def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        return all(a[k] < b[k + 2] and b[k] < a[k + 2] for k in (0, 1))

    assert touching(1.0) > touching(0.0) + 0.1
