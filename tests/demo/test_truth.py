"""The demo's ground truth as tracks: who is visible enough, with the persons' own ids."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embeddings import FRAME, embeddings
from tests.frame_project import asked
from tests.skeletons import config
from vigil.config import Config, load
from vigil.demo.truth import judge_true_boxes, true_events, true_tracks
from vigil.errors import InputError
from vigil.frame_systems import System, zero_shot_system
from vigil.paths import Paths
from vigil.schema import Embeddings, Timeline, Tracks

LINE = Timeline("v", 384, 224, np.arange(3) / 12)


def truth(**changed: Any) -> dict[str, Any]:
    """Return three frames with two persons; the second is nearly hidden on the last."""
    persons = {
        "frame": [0, 0, 1, 1, 2, 2], "track_id": [2, 1, 2, 1, 2, 1],
        "xyxy": [[10.0 * i, 0, 10.0 * i + 5, 20] for i in range(6)],
        "visible_fraction": [1.0, 0.9, 1.0, 0.5, 0.19, 0.2],
    }  # fmt: skip
    events = [
        {"start_s": 0.05, "end_s": 0.2, "label": "faint", "behavior": "x", "person_ids": [2]},
        {"start_s": 0, "end_s": 1, "label": "normal", "behavior": "x", "person_ids": [1]},
    ]
    return {"video_id": "v", "n_frames": 3, "persons": persons, "events": events} | changed


def test_visible_people_become_tracks_in_order() -> None:
    found = true_tracks(truth(), LINE)
    assert found.frame.tolist() == [0, 0, 1, 1, 2]
    assert found.track_id.tolist() == [1, 2, 1, 2, 1]
    assert found.xyxy[0].tolist() == [10, 0, 15, 20]
    np.testing.assert_allclose(found.time_s, found.frame / 12)


def test_a_video_without_persons_has_no_tracks() -> None:
    none = {"frame": [], "track_id": [], "xyxy": [], "visible_fraction": []}
    assert len(true_tracks(truth(persons=none), LINE)) == 0


def test_events_name_the_persons_involved_and_leave_out_the_normal_ones() -> None:
    (event,) = true_events(truth(), "normal")
    assert (event.label, event.start_s, event.end_s, event.track_ids) == ("faint", 0.05, 0.2, (2,))


def test_truth_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="truth: v: expected 3 frames, got 4 of v"):
        true_tracks(truth(n_frames=4), LINE)


def project(root: Path, folder: str) -> tuple[Config, Paths]:
    """Write a video of three frames whose tracker found one of two persons, once."""
    cfg = config()
    cfg = cfg.model_copy(update={"frames": cfg.frames.model_copy(update={"ground_truth": folder})})
    (root / "params.yaml").write_text(cfg.model_dump_json(), "utf-8")
    cfg, paths = load(root / "params.yaml")
    LINE.write(paths.timelines / "v.parquet")
    one = np.zeros(1, np.int32)
    box = np.array([[10, 0, 15, 20]], np.float32)
    Tracks("v", 384, 224, one, np.zeros(1), one + 7, box, np.ones(1, np.float32)).write(
        paths.tracks / "v.parquet"
    )
    (root / "truth").mkdir()
    (root / "truth" / "v.json.gz").write_bytes(gzip.compress(json.dumps(truth()).encode()))
    return cfg, paths


def embed(boxes: Mapping[str, Tracks]) -> dict[str, Embeddings]:
    """Show person 2 fainting on every frame; the boxes must be the true ones."""
    assert {name: len(own) for name, own in boxes.items()} == {"v": 5}
    return {"v": embeddings([{FRAME: 0, (1, -1): 0, (2, -1): 1}] * 3, every=1)}


def test_systems_judge_the_true_boxes_and_misses_are_counted(tmp_path: Path) -> None:
    cfg, paths = project(tmp_path, "truth")
    box = zero_shot_system(asked(), "box")
    blind = System("protogcn", box.judge, reads_skeletons=True)
    said, misses = judge_true_boxes([box, blind], ["v"], embed, cfg, paths)
    assert list(said) == ["zero_shot_box"], "nobody looked for skeletons in the true boxes"
    assert len(said["zero_shot_box"][0]) == 3
    assert misses is not None
    assert (misses["missed"]["value"], misses["missed"]["n"]) == (4 / 5, 5)
    assert misses["blind_in_faint"]["n"] == 1


def test_without_ground_truth_there_is_nothing_to_compare(tmp_path: Path) -> None:
    cfg, paths = project(tmp_path, "")
    assert judge_true_boxes([], ["v"], embed, cfg, paths) == ({}, None)


def test_missing_ground_truth_is_one_clear_line(tmp_path: Path) -> None:
    cfg, paths = project(tmp_path, "truth")
    with pytest.raises(InputError, match=r"w\.json\.gz: expected the ground truth of w, got none"):
        judge_true_boxes([], ["w"], embed, cfg, paths)
