"""Nothing about when or how long an event is may give its class away."""

from __future__ import annotations

import numpy as np
import pytest

from vigil.demo import behaviors
from vigil.demo.casting import leaf_label
from vigil.demo.scenes import Scene, make_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(1000 + i, scene_seed=i % 12, camera_seed=0) for i in range(210)]


def _deviation(shares: np.ndarray) -> float:
    """Kolmogorov-Smirnov distance to the uniform distribution on [0, 1]."""
    ordered = np.sort(shares)
    return float(np.abs(ordered - (np.arange(len(ordered)) + 0.5) / len(ordered)).max())


def test_onsets_are_spread_over_the_clip_for_each_class(scenes: list[Scene]) -> None:
    for label in ("assault", "faint"):
        onsets = np.array(
            [s.events[0].start_s / (s.n_frames / s.fps - 1.5) for s in scenes if s.label == label]
        )
        assert len(onsets) > 40
        assert _deviation(onsets) < 0.2


def test_classes_are_drawn_evenly(scenes: list[Scene]) -> None:
    counts = {
        label: sum(s.label == label for s in scenes) for label in ("normal", "assault", "faint")
    }
    assert min(counts.values()) > 45


def test_events_lie_inside_the_clip_and_name_people_in_it(scenes: list[Scene]) -> None:
    for scene in scenes:
        duration = scene.n_frames / scene.fps
        assert 1 <= len(scene.actors) <= 4
        for event in scene.events:
            assert 0 <= event.start_s < event.end_s <= duration + 0.1
            assert event.label == leaf_label(event.behavior)
            assert set(event.person_ids) <= {a.track_id for a in scene.actors}


def test_only_the_main_event_can_be_abnormal(scenes: list[Scene]) -> None:
    for scene in scenes:
        abnormal = [e for e in scene.events if e.label != "normal"]
        assert len(abnormal) == (scene.label != "normal")


def test_hard_normals_share_the_number_of_people_of_assaults(scenes: list[Scene]) -> None:
    """Two people close together are no sign of an assault: talk, hug and help_up have them too."""
    assert set(behaviors.PAIRS) & set(behaviors.NORMAL) == {"talk", "hug", "help_up"}
    means = {
        label: np.mean([len(s.actors) for s in scenes if s.label == label])
        for label in ("normal", "assault", "faint")
    }
    assert max(means.values()) - min(means.values()) < 1.2
