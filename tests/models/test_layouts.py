"""Skeleton tables say what the papers' do."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.errors import InputError
from vigil.models.layouts import LAYOUTS, from_coco, layout


@pytest.mark.parametrize(
    ("name", "joints", "center"), [("coco", 17, 0), ("coco_new", 20, 19), ("nturgb+d", 25, 20)]
)
def test_sizes_and_centers(name: str, joints: int, center: int) -> None:
    assert (layout(name).num_joints, layout(name).center) == (joints, center)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_joint_hangs_from_the_center(name: str) -> None:
    table = layout(name)
    for joint in range(table.num_joints):
        for _ in range(table.num_joints):
            joint = table.parents[joint]
        assert joint == table.center


@pytest.mark.parametrize("name", LAYOUTS)
def test_mirroring_twice_changes_nothing_and_keeps_bones(name: str) -> None:
    table = layout(name)
    assert [table.mirror[j] for j in table.mirror] == list(range(table.num_joints))
    for child, parent in enumerate(table.parents):
        assert table.parents[table.mirror[child]] == table.mirror[parent]


def test_added_joints_lie_between_hips_and_shoulders() -> None:
    joints = np.random.default_rng(0).normal(size=(17, 2))
    made = from_coco("coco_new") @ joints
    np.testing.assert_allclose(made[:17], joints, rtol=1e-6)
    np.testing.assert_allclose(made[17], (joints[11] + joints[12]) / 2, rtol=1e-6)
    np.testing.assert_allclose(made[19], (joints[5] + joints[6]) / 2, rtol=1e-6)
    np.testing.assert_allclose(made[18], (made[17] + made[19]) / 2, rtol=1e-6)


def test_unknown_layouts_are_refused() -> None:
    with pytest.raises(InputError, match="expected one of coco, coco_new"):
        layout("openpose")
    with pytest.raises(InputError, match="2-D"):
        from_coco("nturgb+d")
