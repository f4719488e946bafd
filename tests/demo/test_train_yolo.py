"""The demo detector's training: labels, a tiny run end to end, going on after a stop, figures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vigil.demo import train_yolo
from vigil.errors import InputError
from vigil.perception import yolo_network


def red_people(folder: Path, images: int) -> None:
    """COCO folder of red rectangles on gray, one person and one crowd in each image."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    document: dict[str, list[dict[str, object]]] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "person"}],
    }
    for i in range(1, images + 1):
        bgr = np.full((72, 128, 3), 128, np.uint8)
        x, y = int(rng.integers(0, 100)), int(rng.integers(0, 30))
        bgr[y : y + 40, x : x + 20] = (20, 20, 230)
        cv2.imwrite(str(folder / "images" / f"{i}.jpg"), bgr)
        document["images"].append({"id": i, "file_name": f"{i}.jpg", "width": 128, "height": 72})
        for crowd in (0, 1):
            box = [x, y, 20, 40] if not crowd else [0, 60, 5, 5]
            document["annotations"].append(
                {
                    "id": 2 * i + crowd,
                    "image_id": i,
                    "category_id": 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": crowd,
                    "segmentation": [],
                }
            )
    (folder / "annotations.json").write_text(json.dumps(document))


def test_labels_are_normalized_centers_without_crowds(tmp_path: Path) -> None:
    red_people(tmp_path / "data", 2)
    assert train_yolo.write_labels(tmp_path / "data", tmp_path / "out") == 2
    annotation = json.loads((tmp_path / "data" / "annotations.json").read_text())["annotations"][0]
    x, y, width, height = annotation["bbox"]
    rows = (tmp_path / "out" / "labels" / "1.txt").read_text().splitlines()
    expected = [0, (x + width / 2) / 128, (y + height / 2) / 72, width / 128, height / 72]
    np.testing.assert_allclose(
        [[float(v) for v in row.split()] for row in rows], [expected], atol=1e-5
    )
    assert (tmp_path / "out" / "images" / "1.jpg").is_file()


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected COCO annotations"):
        train_yolo.write_labels(tmp_path, tmp_path / "out")


@pytest.mark.slow
def test_run_goes_on_where_it_stopped_and_ends_in_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One epoch of two, then a new start: the second alone is trained, and measured via ONNX."""
    yolo_network.configure()
    from ultralytics.models.yolo.detect import DetectionTrainer

    for split in ("train", "val"):
        red_people(tmp_path / split, 4)
    red_people(tmp_path / "more" / "train", 2)
    out = tmp_path / "out"
    seen: list[int] = []

    class Stopped(Exception):
        pass

    save = DetectionTrainer.save_model

    def stop_after_saving(trainer: DetectionTrainer) -> bool:
        save(trainer)
        seen.append(len(trainer.train_loader.dataset))
        raise Stopped

    monkeypatch.setattr(DetectionTrainer, "save_model", stop_after_saving)
    with pytest.raises(Stopped):
        train_yolo.train(tmp_path, out, epochs=2, batch=2, also=tmp_path / "more")
    assert seen == [6]
    monkeypatch.setattr(DetectionTrainer, "save_model", save)
    folders = ["--data", str(tmp_path), "--also", str(tmp_path / "more"), "--out", str(out)]
    train_yolo.main([*folders, "--epochs", "2", "--batch", "2"])
    rows = (out / "run" / "results.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["1", "2"]
    assert yolo_network.load(out / "yolo11n.safetensors").names == {0: "person"}
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["images"] == 4
    assert 0 <= metrics["ap50"] <= 1
