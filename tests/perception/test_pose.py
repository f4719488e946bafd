"""Joints of every person: the same people from either network, nobody invented."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.perception.conftest import skeletons_section
from tests.red_networks import JOINT_OFFSETS, MISSING_JOINT
from tests.videos import TOP, scene
from vigil.config import SkeletonsSection
from vigil.errors import ModelError
from vigil.perception.pose import PoseEstimator
from vigil.session import OnnxSession

KINDS = ["rtmo", "yolo-pose"]


def estimator(path: Path, kind: str) -> PoseEstimator:
    return PoseEstimator(OnnxSession(path), skeletons_section(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_person_of_every_frame_has_joints_in_its_pixels(
    networks: dict[str, Path], kind: str
) -> None:
    places = [[40 + 4 * i, 300] for i in range(10)]
    found = estimator(networks[kind], kind).estimate([scene(lefts) for lefts in places])
    assert [len(poses) for poses in found] == [2] * 10
    for lefts, poses in zip(places, found, strict=True):
        order = np.argsort(poses.boxes[:, 0])
        for left, keypoints in zip(lefts, poses.keypoints[order], strict=True):
            np.testing.assert_allclose(
                keypoints, JOINT_OFFSETS + np.float32([left, TOP]), atol=0.01
            )
        assert poses.keypoint_scores[:, MISSING_JOINT].max() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_large_frames_keep_their_own_pixels(networks: dict[str, Path], kind: str) -> None:
    large = cv2.resize(scene([200]), None, fx=2.5, fy=2.5, interpolation=cv2.INTER_NEAREST)
    (poses,) = estimator(networks[kind], kind).estimate([large])
    np.testing.assert_allclose(poses.boxes, [[500, 40, 580, 200]], atol=1)
    np.testing.assert_allclose(
        poses.keypoints[0], (JOINT_OFFSETS + np.float32([200, TOP])) * 2.5, atol=1
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_frame_gives_no_skeleton(networks: dict[str, Path], kind: str) -> None:
    (poses,) = estimator(networks[kind], kind).estimate([scene([])])
    assert len(poses) == 0
    assert poses.keypoints.shape == (0, 17, 2)
    assert estimator(networks[kind], kind).estimate([]) == []


@pytest.mark.parametrize(("kind", "other"), [("rtmo", "yolo-pose"), ("yolo-pose", "rtmo")])
def test_a_network_of_the_other_kind_is_refused(
    networks: dict[str, Path], kind: str, other: str
) -> None:
    with pytest.raises(ModelError, match=f"^pose: {kind}: expected"):
        estimator(networks[other], kind)


def test_a_detector_is_no_pose_network(networks: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"expected \(batch, 56, anchors\), got output0"):
        estimator(networks["yolo11"], "yolo-pose")


def test_real_yolo_pose_agrees_with_annotated_joints(real_dir: Path) -> None:
    """Object keypoint similarity of the large, well annotated people of four COCO images."""
    settings = SkeletonsSection(
        **{**skeletons_section("yolo-pose").model_dump(), "input_size": (640, 640)}
    )
    network = PoseEstimator(OnnxSession(real_dir / "weights" / "yolov8n-pose_640.onnx"), settings)
    folder = real_dir / "ground_truth" / "coco_people"
    truth = json.loads((folder / "test_coco.json").read_text())
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    sigma = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
    found = {}
    for number, name in names.items():
        image = cv2.imread(str(folder / Path(name).name))
        (found[number],) = network.estimate([np.ascontiguousarray(image[..., ::-1])])
    scores = []
    for annotation in truth["annotations"]:
        if annotation.get("num_keypoints", 0) < 10 or annotation.get("iscrowd"):
            continue
        poses = found[annotation["image_id"]]
        joints = np.array(annotation["keypoints"], dtype=np.float64).reshape(17, 3)
        seen = joints[:, 2] > 0
        far = ((poses.keypoints[:, seen] - joints[seen, :2]) ** 2).sum(axis=2)
        oks = np.exp(-far / (8 * annotation["area"] * sigma[seen] ** 2)).mean(axis=1)
        scores.append(oks.max(initial=0))
    assert len(scores) >= 4
    assert np.mean(scores) > 0.8
