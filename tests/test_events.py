"""Who is involved in an event: by id, or by a point in somebody's box."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.events import involved
from vigil.schema import Event, Tracks


def tracks() -> Tracks:
    """Two people side by side at 0 s and 1 s; a third, far off, at 1 s only."""
    boxes = {1: [0, 0, 10, 20], 2: [6, 0, 16, 20], 7: [40, 0, 50, 20]}
    rows = [(0, 1), (0, 2), (10, 1), (10, 2), (10, 7)]
    frame = np.array([row[0] for row in rows], np.int32)
    ids = np.array([row[1] for row in rows], np.int32)
    xyxy = np.array([boxes[who] for _, who in rows], np.float32)
    return Tracks("v", 64, 48, frame, frame / 10, ids, xyxy, np.ones(len(rows), np.float32))


@pytest.mark.parametrize(
    ("ids", "points", "expected"),
    [
        ((2, 7), (), {2, 7}),
        ((2, 99), (), {2}),
        ((), (), set()),
        ((), ((0.0, 3.0, 5.0),), {1}),
        ((), ((0.1, 9.0, 10.0),), {2}),
        ((), ((1.2, 45.0, 1.0), (0.0, 3.0, 3.0)), {1, 7}),
        ((), ((0.0, 45.0, 1.0),), set()),
        ((), ((9.0, 3.0, 3.0),), set()),
        ((), ((0.0, 30.0, 10.0),), set()),
    ],
    ids=["ids", "an id nobody has", "nobody named", "a point", "the nearer of two boxes",
         "points at several times", "not there yet", "long after", "beside everybody"],
)  # fmt: skip
def test_the_people_named_are_found(
    ids: tuple[int, ...], points: tuple[tuple[float, float, float], ...], expected: set[int]
) -> None:
    assert involved(Event("v", "assault", 0.0, 2.0, ids, points), tracks()) == expected


def test_without_any_track_nobody_is_found() -> None:
    none = np.zeros(0, np.int32)
    empty = Tracks("v", 64, 48, none, np.zeros(0), none, np.zeros((0, 4), np.float32),
                   np.zeros(0, np.float32))  # fmt: skip
    assert involved(Event("v", "faint", 0.0, 2.0, (1,), ((0.0, 3.0, 3.0),)), empty) == set()
