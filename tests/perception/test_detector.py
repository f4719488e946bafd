"""Persons in frames: the right boxes for every batch, and networks that do not fit refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import networks as tiny
from tests.perception.conftest import mask_section
from tests.videos import TOP, scene
from vigil.config import DetectorSection
from vigil.errors import ModelError
from vigil.perception.detector import PersonDetector
from vigil.session import OnnxSession


def detector(path: Path, name: str = "yolo11", max_persons: int = 20) -> PersonDetector:
    return PersonDetector(OnnxSession(path), mask_section(name).detector, max_persons)


@pytest.mark.parametrize("kind", ["yolo11", "yolo11-fixed"])
def test_every_person_of_every_frame_is_boxed(networks: dict[str, Path], kind: str) -> None:
    places = [[40 + 4 * i, 200, 400 - 8 * i] for i in range(11)]
    found = detector(networks[kind]).detect([scene(lefts) for lefts in places])
    assert len(found) == 11
    for lefts, people in zip(places, found, strict=True):
        assert people.masks is None
        boxes = people.xyxy[np.argsort(people.xyxy[:, 0])]
        wanted = [[left, TOP, left + 32, TOP + 64] for left in sorted(lefts)]
        np.testing.assert_allclose(boxes, wanted, atol=0.01)


def test_frames_of_another_size_keep_their_own_pixels(networks: dict[str, Path]) -> None:
    large = cv2.resize(scene([200]), None, fx=2.5, fy=2.5, interpolation=cv2.INTER_NEAREST)
    (people,) = detector(networks["yolo11"]).detect([large])
    np.testing.assert_allclose(people.xyxy, [[500, 40, 580, 200]], atol=1)


def test_masks_come_with_the_seg_network(networks: dict[str, Path]) -> None:
    (people,) = detector(networks["yolo11-seg"], "yolo11-seg").detect([scene([40, 200])])
    assert people.masks is not None
    truth = (scene([40, 200])[..., 0] > 200).astype(bool)
    drawn = people.masks.any(axis=0)
    assert (drawn & truth).sum() / (drawn | truth).sum() > 0.95


def test_nobody_is_nobody(networks: dict[str, Path]) -> None:
    assert [len(people) for people in detector(networks["yolo11"]).detect([scene([])] * 3)] == [
        0
    ] * 3
    assert detector(networks["yolo11"]).detect([]) == []


def test_the_best_scores_are_kept_in_a_crowd(networks: dict[str, Path]) -> None:
    frame = scene([0, 40, 80])
    frame[:, 120:] = scene([203])[:, 120:]  # between two windows: less red, a lower score
    (people,) = detector(networks["yolo11"], max_persons=3).detect([frame])
    assert sorted(people.xyxy[:, 0].round().tolist()) == [0, 40, 80]


def test_parameters_that_contradict_the_network_are_refused(networks: dict[str, Path]) -> None:
    other = DetectorSection(
        name="yolo11", input_size=(640, 640), score_threshold=0.1, nms_threshold=0.6
    )
    with pytest.raises(ModelError, match="expected the network's 512x96, got 640x640"):
        PersonDetector(OnnxSession(networks["yolo11"]), other, 20)
    with pytest.raises(ModelError, match="expected a yolo11-seg network, got one without mask"):
        detector(networks["yolo11"], "yolo11-seg")
    with pytest.raises(ModelError, match="expected a yolo11 network, got one with mask"):
        detector(networks["yolo11-seg"], "yolo11")


def test_a_network_of_another_kind_is_refused(networks: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected one of shape \(batch, 3, H, W\)"):
        detector(tiny.mlp(tmp_path / "mlp.onnx"))


@pytest.mark.parametrize("name", ["yolo11n_640", "yolo11n-seg_640"])
def test_real_weights_find_the_people_of_coco(real_dir: Path, name: str) -> None:
    kind = "yolo11-seg" if "seg" in name else "yolo11"
    settings = DetectorSection(
        name=kind, input_size=(640, 640), score_threshold=0.25, nms_threshold=0.7
    )
    network = PersonDetector(OnnxSession(real_dir / "weights" / f"{name}.onnx"), settings, 20)
    image = cv2.imread(str(real_dir / "ground_truth" / "coco_people" / "000000000785.jpg"))
    (people,) = network.detect([np.ascontiguousarray(image[..., ::-1])])
    assert people.score.max() > 0.8
    if kind == "yolo11-seg":
        assert people.masks is not None
        assert people.masks[0].sum() > 0.3 * np.prod(people.xyxy[0, 2:] - people.xyxy[0, :2])
