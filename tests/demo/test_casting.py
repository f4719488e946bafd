"""Nothing about when or how long an event is may give its class away."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.demo.world import behaviors
from vigil.demo.world.cameras import draw_camera
from vigil.demo.world.casting import Cast, cast_scene, leaf_label
from vigil.demo.world.rooms import draw_room

DURATION = 10.0


@pytest.fixture(scope="module")
def casts() -> list[Cast]:
    """210 scenes as written, not rendered."""
    made = []
    for i in range(210):
        rng = np.random.default_rng([i, 77])
        room = draw_room(np.random.default_rng(i % 12))
        camera = draw_camera(rng, (640, 360))
        made.append(cast_scene(rng, room, camera, None, DURATION, [1.6, 1.7, 1.8, 1.75]))
    return made


def _deviation(shares: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance to the uniform distribution on [0, 1]."""
    ordered = np.sort(shares)
    return float(np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max())


def test_onsets_are_spread_over_the_clip_for_each_class(casts: list[Cast]) -> None:
    for label in ("assault", "faint"):
        onsets = np.array(
            [
                c.events[0].start_s / (DURATION - 1.8)
                for c in casts
                if leaf_label(c.behavior) == label
            ]
        )
        assert len(onsets) > 40
        assert _deviation(onsets) < 0.2


def test_classes_are_drawn_evenly(casts: list[Cast]) -> None:
    counts = {
        label: sum(leaf_label(c.behavior) == label for c in casts)
        for label in ("normal", "assault", "faint")
    }
    assert min(counts.values()) > 45


def test_events_lie_inside_the_clip_and_name_people_in_it(casts: list[Cast]) -> None:
    for cast in casts:
        assert 1 <= len(cast.scripts) <= 4
        for event in cast.events:
            assert 0 <= event.start_s < event.end_s <= DURATION
            assert event.label == leaf_label(event.behavior)
            assert set(event.person_ids) <= set(range(1, len(cast.scripts) + 1))


def test_only_the_main_event_can_be_abnormal(casts: list[Cast]) -> None:
    for cast in casts:
        abnormal = [e for e in cast.events if e.label != "normal"]
        assert len(abnormal) == (leaf_label(cast.behavior) != "normal")


def test_hard_normals_share_the_number_of_people_of_assaults(casts: list[Cast]) -> None:
    """Two people close together are no sign of an assault: talk, hug and help_up have them too."""
    assert set(behaviors.PAIRS) & set(behaviors.NORMAL) == {"talk", "hug", "help_up"}
    means = {
        label: np.mean([len(c.scripts) for c in casts if leaf_label(c.behavior) == label])
        for label in ("normal", "assault", "faint")
    }
    assert max(means.values()) - min(means.values()) < 1.2
