"""The demo's labels say what a careful annotator would: clear events, clear calm, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from vigil.config import ClipsSection
from vigil.demo.labels import label_windows, video_events

WINDOWS = ClipsSection(length_s=4, stride_s=2, min_length_s=4)


def truth(*events: tuple[float, float, str]) -> dict[str, Any]:
    return {
        "video_id": "v", "width": 64, "height": 48, "fps": 10.0, "n_frames": 100,
        "events": [{"start_s": a, "end_s": b, "label": name} for a, b, name in events],
    }  # fmt: skip


def labels(*events: tuple[float, float, str]) -> dict[str, str]:
    found = label_windows(truth(*events), WINDOWS, "normal")
    assert {label.annotator for label in found} <= {"ground_truth"}
    return {label.clip_id.split("@")[1]: label.label for label in found}


def test_windows_without_an_event_are_normal() -> None:
    assert set(labels().values()) == {"normal"}
    assert list(labels()) == ["0-4000", "2000-6000", "4000-8000", "6000-10000"]


def test_a_window_that_clearly_shows_an_event_has_its_label() -> None:
    assert labels((4.5, 5.8, "faint"))["4000-8000"] == "faint"


def test_a_window_that_barely_shows_an_event_is_left_to_nobody() -> None:
    found = labels((3.5, 7.0, "assault"))
    assert "0-4000" not in found
    assert found["2000-6000"] == "assault"
    assert found["6000-10000"] == "assault"


def test_a_short_event_seen_whole_counts() -> None:
    assert labels((0.2, 0.7, "assault"))["0-4000"] == "assault"


def test_hard_normal_actions_are_no_events() -> None:
    assert set(labels((2.0, 8.0, "normal")).values()) == {"normal"}


@pytest.mark.parametrize("first", ["assault", "faint"])
def test_of_two_events_the_longer_seen_wins(first: str) -> None:
    other = {"assault": "faint", "faint": "assault"}[first]
    assert labels((0.0, 2.5, first), (2.5, 3.9, other))["0-4000"] == first


def test_events_show_where_the_people_involved_are_once_a_second() -> None:
    document = truth((2.0, 4.0, "assault"), (5.0, 8.0, "normal"))
    document["events"][0]["person_ids"] = [2]
    boxes = {1: [0.0, 0.0, 4.0, 8.0], 2: [10.0, 20.0, 20.0, 40.0]}
    frames = [19, 20, 25, 30, 40]
    document["persons"] = {
        "frame": [frame for frame in frames for _ in boxes],
        "track_id": list(boxes) * len(frames),
        "xyxy": list(boxes.values()) * len(frames),
    }
    (event,) = video_events(document, "normal")
    assert (event.video_id, event.label, event.start_s, event.end_s) == ("v", "assault", 2.0, 4.0)
    assert event.points == ((2.0, 15.0, 30.0), (3.0, 15.0, 30.0))
    assert event.track_ids == ()
