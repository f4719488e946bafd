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


OWN = {
    "num_joints": 4,
    "parents": [0, 0, 0, 1],
    "center": 0,
    "mirror": [0, 2, 1, 3],
    "sources": [[5, 6], [9], [10], [0, 1, 2]],
}


def test_a_mapping_makes_a_layout() -> None:
    made = layout(OWN)
    assert (made.num_joints, made.center, made.mirror) == (4, 0, (0, 2, 1, 3))
    assert made.grandparents == (0, 0, 0, 0)
    assert layout(OWN | {"grandparents": [0, 1, 2, 2]}).grandparents == (0, 1, 2, 2)
    joints = np.random.default_rng(0).normal(size=(17, 2))
    wanted = [joints[[5, 6]].mean(0), joints[9], joints[10], joints[:3].mean(0)]
    np.testing.assert_allclose(from_coco(OWN) @ joints, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parents": [0, 0, 0]}, "parents: expected 4 joints"),
        ({"parents": [0, 0, 0, 4]}, "parents: expected joints below 4"),
        ({"mirror": [1, 2, 0, 3]}, "mirror: expected partners"),
        ({"center": 4}, "center: expected a joint below 4"),
        ({"sources": [[5], [9], [10]]}, "sources: expected 4 lists"),
        ({"sources": [[5], [9], [10], [17]]}, "sources: expected joints below 17"),
        ({"num_joints": 0}, "num_joints: expected at least 1"),
        ({"edges": []}, "got edges"),
    ],
)
def test_mappings_that_describe_no_skeleton_are_refused(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        layout(OWN | change)


def test_a_mapping_without_sources_reads_no_camera() -> None:
    with pytest.raises(InputError, match="one with sources"):
        from_coco({k: v for k, v in OWN.items() if k != "sources"})
