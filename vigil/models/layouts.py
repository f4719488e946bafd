"""Skeleton layouts: joints, bones and mirror pairs as tables of joint indices.

A layout knows how many joints there are, which joint each one hangs from, which one lies two bones
up, and which joints swap when the picture is mirrored. Networks with a learned graph take only the
number of joints from it; the bone streams take the parents.

Three layouts have a name. Any other is a mapping with the fields of `Layout`, in code or in
`params.yaml`:

    layout: {num_joints: 3, parents: [0, 0, 0], center: 0, mirror: [0, 2, 1],
             sources: [[5, 6], [9], [10]]}

What is served reads COCO-17 joints, so there a layout must say of which of them each joint is the
mean. `nturgb+d` does not: it is for 3-D input (x, y, z) given to a backbone directly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
        sources: for each of the V joints the COCO-17 joints whose mean it is; None where it cannot
            be made from them.
    """

    name: str
    parents: tuple[int, ...]
    grandparents: tuple[int, ...]
    center: int
    mirror: tuple[int, ...]
    sources: tuple[tuple[int, ...], ...] | None = None

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
_COCO = tuple((joint,) for joint in range(COCO_JOINTS))

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
            sources=_COCO,
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
            sources=(*_COCO, (11, 12), (5, 6, 11, 12), (5, 6)),
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


def layout(spec: str | Mapping[str, Any]) -> Layout:
    """Return a layout by name, or make one of a mapping.

    Args:
        spec: a name of `LAYOUTS`; or `num_joints`, `parents`, `center`, `mirror` and, where wanted,
            `grandparents` (without: the parents' parents), `sources` and `name`.

    Raises:
        InputError: no such layout, or a mapping that does not describe one.
    """
    if isinstance(spec, str):
        if spec not in LAYOUTS:
            raise InputError(f"layout: expected one of {', '.join(LAYOUTS)}, got {spec}")
        return LAYOUTS[spec]
    count = _count(spec)
    parents = _joints(spec, "parents", count)
    if spec.get("grandparents") is None:
        grandparents = tuple(parents[parent] for parent in parents)
    else:
        grandparents = _joints(spec, "grandparents", count)
    mirror = _joints(spec, "mirror", count)
    if [mirror[joint] for joint in mirror] != list(range(count)):
        raise InputError("layout: mirror: expected partners that name each other")
    center = spec.get("center")
    if not isinstance(center, int) or not 0 <= center < count:
        raise InputError(f"layout: center: expected a joint below {count}, got {center}")
    name = str(spec.get("name") or f"custom{count}")
    return Layout(name, parents, grandparents, center, mirror, _sources(spec, count))


def _count(spec: Mapping[str, Any]) -> int:
    """Return the number of joints of a mapping whose keys are known."""
    known = {"name", "num_joints", "parents", "grandparents", "center", "mirror", "sources"}
    unknown = sorted(set(spec) - known)
    if unknown:
        raise InputError(f"layout: expected {', '.join(sorted(known))}, got {', '.join(unknown)}")
    count = spec.get("num_joints")
    if not isinstance(count, int) or count < 1:
        raise InputError(f"layout: num_joints: expected at least 1, got {count}")
    return count


def _joints(spec: Mapping[str, Any], key: str, count: int) -> tuple[int, ...]:
    """Return a mapping's table of `count` joint indices."""
    table = spec.get(key)
    if not isinstance(table, Sequence) or len(table) != count:
        raise InputError(f"layout: {key}: expected {count} joints, got {table}")
    return _checked(key, table, count)


def _sources(spec: Mapping[str, Any], count: int) -> tuple[tuple[int, ...], ...] | None:
    """Return a mapping's lists of COCO-17 joints, if it has them."""
    rows = spec.get("sources")
    if rows is None:
        return None
    if len(rows) != count or not all(rows):
        raise InputError(f"layout: sources: expected {count} lists of COCO joints, got {rows}")
    return tuple(_checked("sources", row, COCO_JOINTS) for row in rows)


def _checked(key: str, table: Sequence[Any], count: int) -> tuple[int, ...]:
    """Return indices as a tuple, each of them below `count`."""
    if not all(isinstance(joint, int) and 0 <= joint < count for joint in table):
        raise InputError(f"layout: {key}: expected joints below {count}, got {list(table)}")
    return tuple(table)


def from_coco(spec: str | Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the weights that turn COCO-17 joints into a layout; see `layout`.

    `coco_new` appends 17 mid-hip = mean(11, 12), 18 mid-spine = mean(17, 19) and
    19 neck = mean(5, 6).

    Returns:
        (V, 17) float32, each row summing to 1; joint v is the row's weighted mean of COCO joints.

    Raises:
        InputError: the layout cannot be made from COCO-17 joints.
    """
    table = layout(spec)
    if table.sources is None:
        raise InputError(
            f"layout: expected coco, coco_new or one with sources for 2-D input, got {table.name}"
        )
    weights = np.zeros((table.num_joints, COCO_JOINTS), np.float32)
    for joint, sources in enumerate(table.sources):
        weights[joint, list(sources)] = 1.0 / len(sources)
    return weights
