"""What stands before and behind YOLO11's graph does what ultralytics itself does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vigil.demo.images import make_images
from vigil.errors import ModelError
from vigil.perception import yolo, yolo_network
from vigil.session import OnnxSession

WEIGHTS = Path(yolo.__file__).parents[1] / "demo" / "weights" / "yolo11n.safetensors"


def raw_output(rng: np.random.Generator, classes: int, anchors: int = 400) -> np.ndarray:
    """Boxes crowded around few places, so that many suppress each other."""
    centers = rng.uniform(60, 200, (12, 2))[rng.integers(12, size=anchors)]
    boxes = [centers + rng.normal(0, 6, (anchors, 2)), rng.uniform(30, 60, (anchors, 2))]
    scores = rng.uniform(0, 0.6, (anchors, classes))
    return np.concatenate([*boxes, scores], axis=1).T[None].astype(np.float32)


@pytest.mark.parametrize("shape", [(360, 640), (1080, 1920), (641, 333), (5, 300), (224, 384)])
def test_letterbox_is_ultralytics_own(shape: tuple[int, int]) -> None:
    yolo_network.configure()
    from ultralytics.data.augment import LetterBox

    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tensor, _ = yolo.preprocess(rgb, 224, 384)
    expected = LetterBox((224, 384), auto=False)(image=rgb.copy())
    np.testing.assert_array_equal(tensor, (expected / np.float32(255)).transpose(2, 0, 1))


def test_box_returns_to_the_original_image() -> None:
    """A box drawn into the letterboxed input is found where it was drawn in the original."""
    _, letterbox = yolo.preprocess(np.zeros((360, 640, 3), np.uint8), 224, 384)
    inside = np.array([[60.0, 4 + 60, 120, 4 + 120], [-50, -50, 500, 500]], np.float32)
    expected = [[100, 100, 200, 200], [0, 0, 640, 360]]
    np.testing.assert_allclose(letterbox.to_original(inside), expected, atol=1e-3)


@pytest.mark.parametrize("iou", [0.3, 0.7])
@pytest.mark.parametrize("classes", [None, (0,), (1, 2)])
def test_suppression_is_ultralytics_own(iou: float, classes: tuple[int, ...] | None) -> None:
    yolo_network.configure()
    import torch
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    output = raw_output(np.random.default_rng(1), classes=3)
    letterbox = yolo.Letterbox(360, 640, 224, 384)
    found = yolo.postprocess(output, [letterbox], iou=iou, classes=classes)[0]
    kept = list(classes) if classes else None
    native = non_max_suppression(torch.from_numpy(output), 0.25, iou, kept, max_time_img=60)[0]
    boxes = scale_boxes((224, 384), native[:, :4], (360, 640))
    assert len(found) == len(native) > 5
    np.testing.assert_allclose(found.xyxy, boxes.numpy(), atol=1e-3)
    np.testing.assert_allclose(found.score, native[:, 4].numpy(), atol=1e-6)
    np.testing.assert_array_equal(found.class_id, native[:, 5].numpy())


def test_image_without_persons_has_no_detections() -> None:
    output = np.zeros((1, 5, 20), np.float32)
    found = yolo.postprocess(output, [yolo.Letterbox(360, 640, 224, 384)])[0]
    assert len(found) == 0
    assert found.xyxy.shape == (0, 4)


def test_output_of_another_network_is_refused() -> None:
    letterbox = yolo.Letterbox(360, 640, 224, 384)
    with pytest.raises(ModelError, match=r"output0: expected .* got \(1, 4, 10\)"):
        yolo.postprocess(np.zeros((1, 4, 10), np.float32), [letterbox])


def test_demo_detector_agrees_with_ultralytics_predict(tmp_path: Path) -> None:
    """Through ONNX and our own ends: under 1 px and 0.01 score from the native prediction."""
    yolo_network.configure()
    from ultralytics import YOLO

    model = yolo_network.load(WEIGHTS)
    graph = tmp_path / "yolo11n.onnx"
    yolo_network.export(model, graph, height=224, width=384)
    session = OnnxSession(graph)
    native = YOLO("yolo11n.yaml")
    native.model = model
    persons = 0
    make_images(tmp_path, 3, 0, "test", workers=1)
    for image in (tmp_path / "images").iterdir():
        bgr = cv2.imread(str(image))
        tensor, letterbox = yolo.preprocess(bgr[..., ::-1], 224, 384)
        output = session.run({"images": tensor[None]})["output0"]
        found = yolo.postprocess(output, [letterbox])[0]
        expected = native.predict(bgr, imgsz=(224, 384), verbose=False, device="cpu")[0].boxes
        persons += len(found)
        assert_same(found, expected)
    assert persons >= 3


def assert_same(found: yolo.Detections, expected: Any) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.xyxy, expected.xyxy.numpy(), atol=1)
    np.testing.assert_allclose(found.score, expected.conf.numpy(), atol=0.01)
    np.testing.assert_array_equal(found.class_id, expected.cls.numpy())


@pytest.mark.parametrize("name", ["yolo11n_640", "yolo11n-seg_640"])
def test_real_network_agrees_with_ultralytics_predict(name: str, real_dir: Path) -> None:
    """On photographs: the same boxes and, for the -seg network, the same masks."""
    yolo_network.configure()
    from ultralytics import YOLO

    file = real_dir / "weights" / f"{name}.onnx"
    task = "segment" if "seg" in name else "detect"
    session, native = OnnxSession(file), YOLO(str(file), task=task)
    persons = 0
    for image in sorted((real_dir / "ground_truth" / "coco_people").rglob("*.jpg")):
        bgr = cv2.imread(str(image))
        tensor, letterbox = yolo.preprocess(bgr[..., ::-1], 640, 640)
        outputs = session.run({"images": tensor[None]})
        found = yolo.postprocess(outputs["output0"], [letterbox], outputs.get("output1"))[0]
        expected = native.predict(
            bgr, imgsz=640, classes=[0], retina_masks=True, verbose=False, device="cpu"
        )[0]
        assert_same(found, expected.boxes)
        persons += len(found)
        if found.masks is not None:
            truth = expected.masks.data.numpy() > 0
            overlap = (found.masks & truth).sum((1, 2)) / (found.masks | truth).sum((1, 2))
            assert overlap.min() > 0.98
    assert persons >= 14
