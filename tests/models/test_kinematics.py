"""Motion statistics in the graph: in units of the body, whoever is named first, alike in ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.skeletons import STANDING, annotation, config
from vigil import compat
from vigil.config import Config
from vigil.dataset import tensors

compat.apply()

from vigil.models.kinematics.backbone import KinematicsBackbone  # noqa: E402
from vigil.models.kinematics.statistics import PAIR, PERSON  # noqa: E402
from vigil.models.preprocess import SkeletonInput  # noqa: E402

NAMES = [f"{name}_1" for name in PERSON] + [f"{name}_2" for name in PERSON] + list(PAIR)
SIZE = torch.tensor([[640.0, 360.0]])


def measured(keypoints: Tensor, step: int = 1) -> dict[str, float]:
    """Return the statistics of one clip (M, T, 17, 3) by name."""
    prepared = SkeletonInput("coco", "j", "body")(keypoints[None], SIZE)
    return dict(zip(NAMES, KinematicsBackbone(step)(prepared)[0].tolist(), strict=True))


def person(at: float, frames: int = 24) -> Tensor:
    """Return (frames, 17, 3) of one who stands at `at` pixels from the left."""
    joints = np.tile(STANDING, (frames, 1, 1)) + np.array([at, 200.0], np.float32)
    return torch.from_numpy(np.concatenate([joints, np.ones_like(joints[..., :1])], -1))


def clip(index: int, label: int) -> Tensor:
    return torch.from_numpy(tensors([annotation(index, label)], config().dataset)[0][0])


def test_there_is_a_name_for_every_statistic() -> None:
    assert len(NAMES) == len(set(NAMES)) == len(measured(clip(0, 0)))


def test_nothing_moves_when_people_stand_apart() -> None:
    found = measured(torch.stack([person(100), person(500)]))
    moving = [name for name in NAMES if "speed" in name or "change" in name or "strike" in name]
    assert max(found[name] for name in moving) < 1e-3
    assert found["presence_1"] == found["presence_2"] == found["together"] == 1.0
    assert found["overlap"] == 0.0
    assert found["size_ratio"] == pytest.approx(1.0)


def test_fast_people_are_faster_and_the_distance_to_the_camera_does_not_matter() -> None:
    slow, fast = measured(clip(0, 0)), measured(clip(0, 1))
    assert fast["limb_speed_1"] > slow["limb_speed_1"] + 0.5
    far = clip(0, 1)
    far[..., :2] = far[..., :2] / 3 + 50
    again = measured(far)
    for name in NAMES:
        assert again[name] == pytest.approx(fast[name], rel=1e-3, abs=1e-3), name


def test_who_is_named_first_and_empty_slots_change_nothing() -> None:
    keypoints = clip(1, 1)
    found = measured(keypoints)
    for other in (keypoints.flip(0), torch.cat([keypoints, torch.zeros_like(keypoints)])):
        assert measured(other) == pytest.approx(found, abs=1e-5)


def test_a_blow_towards_the_other_counts_and_one_away_does_not() -> None:
    towards, away = [], []
    for way, found in ((1.0, towards), (-1.0, away)):
        one, two = person(200), person(290)
        one[8:, 10, 0] += way * torch.arange(16).clamp(max=5) * 12.0
        found.append(measured(torch.stack([one, two])))
    assert towards[0]["strike"] > away[0]["strike"] + 0.3
    assert towards[0]["strike_back"] == pytest.approx(0.0, abs=1e-3)


def test_nearness_falls_with_distance() -> None:
    near, far = (measured(torch.stack([person(100), person(at)])) for at in (160, 500))
    for name in ("nearest", "nearness", "nearest_hand", "hand_nearness"):
        assert near[name] > far[name], name
    assert measured(torch.stack([person(100), person(110)]))["most_overlap"] > 0.5


def test_one_alone_has_no_pair_and_nobody_has_nothing() -> None:
    alone = measured(person(100)[None])
    assert all(alone[name] == 0.0 for name in PAIR)
    assert all(alone[name] == 0.0 for name in NAMES if name.endswith("_2"))
    nobody = measured(torch.zeros(2, 24, 17, 3))
    assert all(value == 0.0 for value in nobody.values()), nobody


def test_a_frame_in_which_one_is_lost_makes_no_speed() -> None:
    keypoints = torch.stack([person(100), person(500)])
    keypoints[0, 7] = 0.0
    found = measured(keypoints)
    assert found["peak_speed_1"] < 1e-3
    assert found["presence_2"] == pytest.approx(23 / 24)


@pytest.mark.parametrize("change", [{"step": 0}, {"stream": "jm"}, {"layout": "coco_new"}])
def test_what_the_statistics_cannot_be_of_is_refused(change: dict[str, object]) -> None:
    values = config().model_dump()
    values["models"]["kinematics"] |= change
    with pytest.raises(ValueError, match="kinematics"):
        Config.model_validate(values)
