"""One report of several systems: one table, one ROC, thresholds from validation only."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evaluation.test_frames import Video, video
from tests.skeletons import config
from vigil.errors import InputError
from vigil.evaluation.frames import Pooled
from vigil.frame_page import page, write_report
from vigil.frame_report import Said, brief, report, show

BASE = config()
CONFIG = BASE.model_copy(
    update={"classes": ("normal", "assault", "faint"),
            "evaluate": BASE.evaluate.model_copy(update={"bootstrap": 200})}
)  # fmt: skip
MISSES = {"persons": 3, "switches": 1, "boxes": 40, "extra_boxes": 2,
          "missed": {"value": 0.1, "low": 0.05, "high": 0.2, "n": 60}}  # fmt: skip
EVIL = "<script>alert(1)</script>&구"


def videos(skill: float, count: int, seed: int = 0) -> list[Video]:
    """Return videos in which every second one has an assault from second 1 to 3."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        inside = (np.arange(60) >= 12) & (np.arange(60) < 36) & (index % 2 == 0)
        scores = 1 / (1 + np.exp(-(rng.normal(-1, 0.5, 60) + skill * inside)))
        found.append(video(f"v{index}", scores, (1.0, 3.0) if index % 2 == 0 else None))
    return found


def said(skill: float, seed: int = 0, val: int = 4, perfect: float | None = None) -> Said:
    return Said(
        [one for one, _ in videos(skill, 8, seed)],
        [one for one, _ in videos(skill, val, seed + 50)],
        [] if perfect is None else [one for one, _ in videos(perfect, 8, seed)],
    )


def made(val: int = 4, **changed: Any) -> tuple[dict[str, Any], dict[str, Pooled]]:
    systems = {"zero_shot_box": said(0.5, val=val, perfect=3.0), EVIL: said(3.0, 1, val)} | changed
    truths = [truth for _, truth in videos(0, 8)], [truth for _, truth in videos(0, val)]
    return report(systems, *truths, MISSES, "events", CONFIG)


def test_systems_are_measured_on_the_same_frames_and_set_against_each_other() -> None:
    found, _ = made()
    json.dumps(found, allow_nan=False)
    assert (found["n_videos"], found["n_frames"], found["event_frames"]) == (8, 480, 96)
    assert found["validation"]["videos"] == 4
    better = {d["one"]: d for d in found["differences"]}[EVIL]
    assert better["other"] == "zero_shot_box"
    assert better["low"] > 0
    cost = found["systems"]["zero_shot_box"]["perfect_boxes"]
    assert 0 < cost["share"]["value"] <= 1
    assert found["systems"][EVIL]["perfect_boxes"] is None


def test_the_threshold_never_sees_the_test_videos() -> None:
    """Scores of other test videos change what is measured, not the threshold."""
    one = made()[0]["systems"]["zero_shot_box"]["events"]
    usual = said(0.5, perfect=3.0)
    other_scores = replace(usual, test=[x for x, _ in videos(4.0, 8, 9)])
    other = made(zero_shot_box=other_scores)[0]["systems"]["zero_shot_box"]["events"]
    assert one["threshold"] == other["threshold"]
    assert one["found"] != other["found"]
    limit = CONFIG.frames.alarm.max_false_per_hour
    assert one["validation"]["false_alarms_per_hour"]["value"] <= limit


def test_without_validation_videos_there_is_ranking_but_no_alarm() -> None:
    found, _ = made(val=0)
    assert {system["events"] for system in found["systems"].values()} == {None}
    assert "auc" in found["systems"][EVIL]["metrics"]
    assert "No validation video" in page(found, "data:,")
    assert "events" not in show(found)
    assert "recall" not in brief(found)[EVIL]


def test_no_system_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="frames: expected at least one system, got none"):
        report({}, [], [], None, "events", CONFIG)


def test_everything_is_written_for_programs_and_for_people(tmp_path: Path) -> None:
    from sklearn.metrics import auc as area

    found, pooled = made()
    written = write_report(tmp_path, found, pooled)
    assert sorted(path.name for path in written) == sorted(p.name for p in tmp_path.iterdir())
    assert json.loads((tmp_path / "report.json").read_text("utf-8")) == found
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((tmp_path / "roc.csv").read_text("utf-8").splitlines()))
    for name in ("zero_shot_box", EVIL):
        points = [(float(row["false_positive_rate"]), float(row["true_positive_rate"]))
                  for row in rows if row["system"] == name]  # fmt: skip
        assert (points[0], points[-1]) == ((0, 0), (1, 1))
        false, true = np.array(points).T
        wanted = found["systems"][name]["metrics"]["auc"]["value"]
        assert area(false, true) == pytest.approx(wanted, abs=1e-6)


def test_the_page_says_what_was_found_and_runs_nothing() -> None:
    found, _ = made()
    text = page(found, "data:image/svg+xml;base64,AAAA")
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    for part in ("zero_shot_box", "&lt;script&gt;", "480 frames of 8 videos", "carried",
                 "share of the loss", "4 validation videos", "1 changes of identity"):  # fmt: skip
        assert part in text, part


def test_people_read_a_line_and_programs_few_values() -> None:
    found, _ = made()
    lines = show(found).splitlines()
    assert lines[0] == "frames: 480 frames of 8 test videos"
    assert "AUC 0." in lines[1]
    assert "false alarms/h" in lines[1]
    assert brief(found)[EVIL]["auc"] == found["systems"][EVIL]["metrics"]["auc"]["value"]
