"""Rolling clips in time tells a recognizer that looks at the place from one that does not."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stages import controls as stage
from tests.skeletons import annotation, config, write_set
from tests.tracks import clip
from vigil import controls
from vigil.config import load
from vigil.controls import position_bias, roll
from vigil.errors import InputError
from vigil.training import train


def test_a_roll_brings_the_end_to_the_beginning_and_leaves_the_rest() -> None:
    row = annotation(0, 1)
    (moved,) = roll([row], 0.25)
    np.testing.assert_array_equal(moved["keypoint"][:, 6:], row["keypoint"][:, :18])
    np.testing.assert_array_equal(moved["keypoint"][:, :6], row["keypoint"][:, 18:])
    assert moved["keypoint_score"].shape == row["keypoint_score"].shape
    assert moved["label"] == row["label"]


def test_a_trained_recognizer_does_not_care_when_something_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = config(epochs=6, lr=0.1, ema_momentum=0.2, batch_size=8).model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    cfg, paths = load(tmp_path / "params.yaml")
    write_set(paths.dataset / "annotations.pkl", 48)
    train("protogcn", cfg, paths.dataset / "annotations.pkl", paths.model("protogcn"),
          tmp_path / "work")  # fmt: skip
    stage.main(cfg, paths, Namespace(model="protogcn"))
    report = json.loads((paths.reports / "protogcn_controls.json").read_text())
    assert [one["share"] for one in report["rolled"]] == [0.25, 0.5, 0.75]
    assert all(one["auc"] > 0.7 for one in report["rolled"])
    assert all(one["low"] <= 0 <= one["high"] for one in report["rolled"])
    assert capsys.readouterr().out.count("within noise") == 3


def test_one_who_looks_at_the_first_half_only_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events happen in the first half; the classifier measures motion there and nowhere else."""
    rows = []
    for index in range(40):
        row = annotation(index, index % 2)
        row["keypoint"][:, 12:] = row["keypoint"][:, 11:12]
        rows.append(row)

    def first_half(_: Path, clips: list[dict[str, Any]]) -> np.ndarray:
        motion = [np.abs(np.diff(c["keypoint"][:, :12], axis=1)).mean() for c in clips]
        event = np.array(motion) / 100
        return np.stack([1 - event, event], 1)

    monkeypatch.setattr(controls, "predict", first_half)
    half = next(r for r in position_bias(tmp_path, rows, config()) if r.share == 0.5)
    assert half.difference < -0.2
    assert not half.within_noise


def test_embeddings_are_rolled_with_the_clip() -> None:
    row = clip(0, 1)
    (rolled,) = roll([row], 0.25)
    late = (row["token_time_s"] - 10.0 + 1.0) % 4.0 + 10.0
    np.testing.assert_allclose(rolled["token_time_s"], late)
    assert sorted(rolled["token_time_s"]) == pytest.approx(sorted(row["token_time_s"]), abs=1e-9)
    assert rolled["embedding"] is row["embedding"]


def test_one_kind_of_clips_has_no_auc(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one kind only"):
        position_bias(tmp_path, [annotation(0, 1)], config())
