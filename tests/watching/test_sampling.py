"""What a served model was unsure of comes back to the people who label."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import load
from vigil.labels.suggested import queue_scores, read_all
from vigil.schema import (
    Clip,
    Label,
    Suggestion,
    clip_id,
    write_clips,
    write_labels,
    write_suggestions,
)
from vigil.watching.record import Seen
from vigil.watching.sampling import hand_over, uncertain_here, write_footage

SURE, TORN, LEANING = (0.96, 0.02, 0.02), (0.34, 0.33, 0.33), (0.6, 0.3, 0.1)


def seen(p: tuple[float, ...], source: str = "", clip: str = "", start: float | None = None) -> Any:
    end = None if start is None else start + 4
    one = Seen(by="protogcn", top="normal", confidence=max(p), p=p, clip=clip, start_s=start,
               end_s=end)  # fmt: skip
    return 0.0, source, one


def prepared(params: dict[str, Any], project: Callable[[dict[str, Any]], Path]) -> Any:
    config, paths = load(project(params))
    clips = [Clip(clip_id(name, 0, 4), name, 0, 4, 0, 48, 1) for name in ("a", "b", "c", "d")]
    write_clips(paths.clips, clips)
    write_labels(paths.labels, [Label(clips[3].clip_id, "normal", "", "")])
    heard = {("protogcn", "protogcn"): [
        seen(SURE, clip=clips[0].clip_id), seen(TORN, clip=clips[1].clip_id),
        seen(LEANING, source="c", start=0.0), seen(TORN, clip=clips[3].clip_id),
        seen(TORN, source="=cmd|' /C calc'!A0", start=8.0), seen(TORN),
        seen(TORN, clip="unknown@0-4000"),
    ]}  # fmt: skip
    return config, paths, clips, heard


def test_uncertain_windows_of_known_clips_lead_the_labeling_queue(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path]
) -> None:
    config, paths, clips, heard = prepared(params, project)
    kept = Suggestion(clips[0].clip_id, "zero_shot_box", (0.5, 0.25, 0.25))
    stale = Suggestion(clips[1].clip_id, "protogcn", (1.0, 0.0, 0.0))
    write_suggestions(paths.prelabels, [kept, stale], config.classes)
    windows = uncertain_here(heard, config, paths)
    assert [one.clip for one in windows] == [clips[1].clip_id, "", clips[2].clip_id,
                                             clips[0].clip_id]  # fmt: skip
    assert [one.entropy for one in windows] == sorted((w.entropy for w in windows), reverse=True)
    assert hand_over(windows, config, paths) == 3
    said = read_all(paths, config.classes)
    assert said[clips[1].clip_id]["protogcn"] == TORN
    assert said[clips[0].clip_id]["zero_shot_box"] == kept.probabilities
    only = {name: {"protogcn": found["protogcn"]} for name, found in said.items()}
    order = queue_scores("uncertainty", only, clips, {clips[3].clip_id}, config)
    ranked = sorted(order, key=lambda name: -order[name])
    assert ranked == [clips[1].clip_id, clips[2].clip_id, clips[0].clip_id]


def test_footage_that_is_no_clip_yet_is_listed_and_never_copied(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path]
) -> None:
    config, paths, _, heard = prepared(params, project)
    before = sorted(paths.root.rglob("*"))
    path = paths.drift_report / "to_label.csv"
    assert write_footage(path, uncertain_here(heard, config, paths)) == 1
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert row["source"] == "'=cmd|' /C calc'!A0"
    assert (row["start_s"], row["end_s"]) == ("8.0", "12.0")
    assert {p for p in paths.root.rglob("*") if p.is_file()} - set(before) == {path}


def test_rows_of_one_clip_are_pooled_as_the_recognizer_pools_them(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path]
) -> None:
    params["models"]["clip_gru"]["pool"] = "max"
    config, paths, clips, _ = prepared(params, project)
    found = [seen((0.1, 0.8, 0.1), clip=clips[0].clip_id), seen(SURE, clip=clips[0].clip_id)]
    rows = [(at, source, one.model_copy(update={"by": "clip_gru"})) for at, source, one in found]
    (window,) = uncertain_here({("clip_gru", "clip_gru"): rows}, config, paths)
    assert np.argmax(window.probabilities) == 1  # max: the least normal track speaks for the clip


def test_no_more_than_asked_for_are_handed_over(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path]
) -> None:
    params["drift"]["sample"] = 2
    config, paths, _, heard = prepared(params, project)
    assert len(uncertain_here(heard, config, paths)) == 2
