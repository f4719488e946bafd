"""A study: trains every row once per seed and fold, goes on where it stopped, averages rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.skeletons import annotation, config
from vigil.dataset import write_annotations
from vigil.errors import InputError
from vigil.study import conduct, read_study, table

ROWS = {
    "plain": {"model": "protogcn"},
    "slow": {"model": "protogcn", "change": {"train": {"all": {"lr": 1e-6}}}},
    "both": {"mean": {"plain": 1, "slow": 1}},
}


def write_study(folder: Path, rows: dict[str, object]) -> Path:
    values = config(epochs=1).model_dump(mode="json")
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    study = {
        "title": "t", "params": "params.yaml", "annotations": "real.pkl", "clip_s": 2.0,
        "folds": 2, "seeds": [0, 1], "rows": rows,
    }  # fmt: skip
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return folder / "study.yaml"


def write_real(path: Path) -> None:
    made = [annotation(i, i % 2) for i in range(24)]
    known = ("frame_dir", "label", "img_shape", "original_shape", "total_frames", "keypoint",
             "keypoint_score")  # fmt: skip
    rows = [{name: row[name] for name in known} | {"scene": i // 3} for i, row in enumerate(made)]
    write_annotations(path, {}, rows)


@pytest.mark.slow
def test_every_row_is_scored_on_every_clip_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, ROWS))
    write_real(tmp_path / "real.pkl")
    said: list[str] = []
    arguments = (study, tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, said.append)
    first = {result.name: result for result in conduct(*arguments)}
    assert len(said) == 8
    assert list(first) == ["motion", "plain", "slow", "both"]
    assert all(result.n == 24 and len(result.aucs) == 2 for result in first.values())
    kept = sorted((tmp_path / "work" / "probabilities").glob("*.npy"))
    stamps = [file.stat().st_mtime_ns for file in kept]
    again = {result.name: result for result in conduct(*arguments)}
    assert [file.stat().st_mtime_ns for file in kept] == stamps
    assert again["both"].aucs == first["both"].aucs
    assert "| both |" in table(list(first.values()))


@pytest.mark.slow
def test_folds_never_divide_a_scene(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, {"plain": {"model": "protogcn"}}))
    write_real(tmp_path / "real.pkl")
    conduct(study, tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, lambda _: None)
    parts = [np.load(file) for file in (tmp_path / "work" / "probabilities").glob("*.npy")]
    assert sum(len(part) for part in parts) == 2 * 24
    assert all(len(part) % 3 == 0 for part in parts)


@pytest.mark.parametrize(
    "row", [{"mean": {"later": 1}}, {}, {"model": "protogcn", "mean": {"motion": 1}}]
)
def test_a_row_is_a_model_or_a_mean_of_rows_above_it(
    tmp_path: Path, row: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="expected a model, or a mean of rows above it"):
        read_study(write_study(tmp_path, {"row": row}))


def test_annotations_without_scenes_are_refused(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, ROWS))
    write_annotations(tmp_path / "real.pkl", {}, [annotation(i, i % 2) for i in range(4)])
    with pytest.raises(InputError, match="expected a scene in every annotation"):
        conduct(study, tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, lambda _: None)
