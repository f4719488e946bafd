"""The demo segmenter's training: crops and prompts, losses, a tiny run and going on after it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from vigil.demo import mask_data, train_sam2
from vigil.demo.mask_losses import loss
from vigil.errors import InputError
from vigil.perception import sam2

WIDTH, HEIGHT = 160, 120


def write_people(folder: Path, images: int) -> None:
    """COCO folder of bright ellipses on dark ground, two persons in each image."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    document: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}],
    }
    for i in range(1, images + 1):
        bgr = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        name = f"{i}.png"
        document["images"].append({"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for person, left in enumerate((40, 115)):
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            center = (left + int(rng.integers(-10, 10)), 60)
            cv2.ellipse(mask, center, (12, 40), 0, 0, 360, 1, -1)
            bgr[mask > 0] = (200, 180, 160)
            rle = coco_mask.encode(np.asfortranarray(mask))
            box = [float(v) for v in coco_mask.toBbox(rle)]
            document["annotations"].append(
                {
                    "id": 2 * i + person,
                    "image_id": i,
                    "category_id": 1,
                    "bbox": box,
                    "iscrowd": 0,
                    "area": float(mask.sum()),
                    "segmentation": {**rle, "counts": rle["counts"].decode()},
                }
            )
        cv2.imwrite(str(folder / "images" / name), bgr)
    (folder / "annotations.json").write_text(json.dumps(document))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        write_people(tmp_path / split, 3)
    return tmp_path


def test_prompts_and_masks_of_a_crop_belong_together(data: Path) -> None:
    """Whatever the crop, mirror and jitter: a box surrounds its mask, up to its own jitter."""
    scenes = mask_data.read_scenes(data / "train")
    rng = np.random.default_rng(3)
    background = 0
    for turn in range(40):
        part = mask_data.sample(scenes, turn % 3, 96, 3, rng)
        assert part.pixels.shape == (3, 96, 96)
        assert len(part.boxes) == len(part.masks)
        for box, mask in zip(part.boxes, part.masks, strict=True):
            rows, columns = np.nonzero(mask > 0.5)
            if not len(rows):
                background += 1
                x1, y1, x2, y2 = np.clip(box, 0, 96).astype(int)
                assert part.people[y1:y2, x1:x2].mean() < 0.2
                continue
            actual = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            inside = (box > 2) & (box < 94)
            size = np.tile(box[2:] - box[:2], 2)
            assert (np.abs(actual - box) < 0.15 * size + 2)[inside].all()
            assert (part.people >= mask - 1e-6).all()
    assert background > 0


def test_jitter_stays_within_its_share() -> None:
    boxes = np.tile(np.array([[100, 100, 200, 300]], np.float32), (500, 1))
    moved = mask_data.jitter_boxes(boxes, np.random.default_rng(0), 0.1) - boxes
    assert np.abs(moved[:, [0, 2]]).max() <= 10.01
    assert np.abs(moved[:, [1, 3]]).max() <= 20.01
    assert moved.std(axis=0).min() > 2


def test_perfect_mask_costs_less_than_a_wrong_or_missing_one() -> None:
    masks = torch.zeros(1, 32, 32)
    masks[0, 8:24, 8:24] = 1
    truth = torch.nn.functional.avg_pool2d(masks[:, None], 4) * 20 - 10
    sure = torch.full((1, 1), 8.0)

    def cost(logits: torch.Tensor, quality: float) -> float:
        return float(sum(loss(logits, torch.full((1, 1), quality), sure, masks).values()))

    right = cost(truth, 1.0)
    assert right < 0.3
    assert cost(-truth, 0.0) > 10 * right
    assert cost(torch.full_like(truth, -10), 0.0) > 3 * right
    assert cost(truth, 0.2) > right + 0.1


def test_run_goes_on_where_it_stopped(data: Path, tmp_path: Path) -> None:
    """A second start with more time keeps the steps, the clock and the optimizer of the first."""
    out = tmp_path / "out"
    short = train_sam2.Options(minutes=1e-4, crops=1)
    first = train_sam2.Run(data, out, short)
    weights = first.train()
    again = train_sam2.Run(data, out, train_sam2.Options(minutes=1e-4, crops=1))
    assert (again.step, again.seconds) == (first.step, first.seconds)
    assert again.step >= 1
    assert all(torch.equal(again.average[key], value) for key, value in weights.items())
    assert again.optimizer.state_dict()["state"]
    again.options = train_sam2.Options(minutes=first.seconds / 60 + 1e-4, crops=1)
    again.train()
    assert again.step > first.step


def test_command_writes_weights_that_load_and_figures(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--data", str(data), "--out", str(out), "--minutes", "0.0001", "--crops", "1"]
    train_sam2.main(arguments)
    assert sam2.load_sam2(out / "sam2.safetensors")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["persons"] == 6
    assert 0 <= metrics["mean_iou"] <= 1


def test_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected COCO annotations"):
        mask_data.read_scenes(tmp_path)
    empty = {"images": [{"id": 1, "file_name": "1.png", "width": 8, "height": 8}]}
    (tmp_path / "annotations.json").write_text(json.dumps({**empty, "annotations": []}))
    with pytest.raises(InputError, match="expected persons with masks"):
        mask_data.read_scenes(tmp_path)
