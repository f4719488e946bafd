"""Skeleton layouts: joints, bones and mirror pairs as tables of joint indices.

A layout knows how many joints there are, which joint each one hangs from, which one lies two bones
up, and which joints swap when the picture is mirrored. Networks with a learned graph take only the
number of joints from it; the bone streams take the parents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.errors import InputError

COCO_JOINTS = 17


@dataclass(frozen=True)
class Layout:
    """One way to draw a person.

    Attributes:
        name: the layout's name in `params.yaml` and in a model's metadata.
        parents: (V,) index of the joint each joint hangs from; the root names itself.
        grandparents: (V,) index of the joint two bones up (the k-bone stream of InfoGCN); joints
            without one name themselves.
        center: index of the root joint.
        mirror: (V,) index of each joint's partner on the other side of the body.
    """

    name: str
    parents: tuple[int, ...]
    grandparents: tuple[int, ...]
    center: int
    mirror: tuple[int, ...]

    @property
    def num_joints(self) -> int:
        """Number of joints V."""
        return len(self.parents)


def _parents(count: int, pairs: str) -> tuple[int, ...]:
    """Read `child-parent` pairs; joints not named are their own parent."""
    table = list(range(count))
    for pair in pairs.split():
        child, parent = pair.split("-")
        table[int(child)] = int(parent)
    return tuple(table)


def _mirror(count: int, pairs: str) -> tuple[int, ...]:
    """Read `left-right` pairs; joints on the body's axis are their own partner."""
    table = list(range(count))
    for pair in pairs.split():
        left, right = (int(joint) for joint in pair.split("-"))
        table[left], table[right] = right, left
    return tuple(table)


_COCO_SIDES = "1-2 3-4 5-6 7-8 9-10 11-12 13-14 15-16"

LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            name="coco",
            parents=_parents(
                17, "3-1 4-2 1-0 2-0 5-0 6-0 7-5 8-6 9-7 10-8 11-0 12-0 13-11 14-12 15-13 16-14"
            ),
            grandparents=_parents(17, "3-0 4-0 7-0 8-0 9-5 10-6 13-0 14-0 15-11 16-12"),
            center=0,
            mirror=_mirror(17, _COCO_SIDES),
        ),
        Layout(
            name="coco_new",
            parents=_parents(
                20,
                "0-19 1-0 2-0 3-1 4-2 5-19 6-19 7-5 8-6 9-7 10-8 11-17 12-17 13-11 14-12 "
                "15-13 16-14 17-18 18-19",
            ),
            grandparents=_parents(
                20,
                "1-19 2-19 3-0 4-0 7-19 8-19 9-5 10-6 11-18 12-18 13-17 14-17 15-11 16-12 17-19",
            ),
            center=19,
            mirror=_mirror(20, _COCO_SIDES),
        ),
        Layout(
            name="nturgb+d",
            parents=_parents(
                25,
                "0-1 1-20 2-20 3-2 4-20 5-4 6-5 7-6 8-20 9-8 10-9 11-10 12-0 13-12 14-13 15-14 "
                "16-0 17-16 18-17 19-18 21-22 22-7 23-24 24-11",
            ),
            grandparents=_parents(
                25,
                "0-20 3-20 5-20 6-4 7-5 9-20 10-8 11-9 12-1 13-0 14-12 15-13 16-1 17-0 18-16 "
                "19-17 21-7 22-6 23-11 24-10",
            ),
            center=20,
            mirror=_mirror(25, "4-8 5-9 6-10 7-11 12-16 13-17 14-18 15-19 21-23 22-24"),
        ),
    )
}


def layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        InputError: no such layout.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout: expected one of {', '.join(LAYOUTS)}, got {name}")
    return LAYOUTS[name]


def from_coco(name: str) -> NDArray[np.float32]:
    """Return the weights that turn COCO-17 joints into the layout `name`.

    `coco_new` appends 17 mid-hip = mean(11, 12), 18 mid-spine = mean(17, 19) and
    19 neck = mean(5, 6).

    Returns:
        (V, 17) float32, each row summing to 1; joint v is the row's weighted mean of COCO joints.

    Raises:
        InputError: the layout cannot be made from COCO-17 joints.
    """
    weights = np.eye(COCO_JOINTS, dtype=np.float32)
    if name == "coco":
        return weights
    if name != "coco_new":
        raise InputError(f"layout: expected coco or coco_new for 2-D input, got {name}")
    hip, neck = weights[[11, 12]].mean(0), weights[[5, 6]].mean(0)
    return np.vstack([weights, hip, (hip + neck) / 2, neck])
