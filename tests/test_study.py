"""A study: trains every row once per seed and fold, goes on where it stopped, averages rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from tests.conftest import ROOT
from tests.skeletons import annotation, config
from vigil.config import load
from vigil.dataset import read_annotations, write_annotations
from vigil.errors import InputError
from vigil.study import conduct, prepare, read_study, table
from vigil.study.results import within_groups

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
def test_every_row_is_scored_on_every_clip_and_nothing_is_trained_twice(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
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
    assert "Warning" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_row_begins_with_one_that_saw_simulated_scenes_alone(tmp_path: Path) -> None:
    rows: dict[str, object] = {
        "simulated": {"model": "kinematics", "simulated": True},
        "held": {"model": "kinematics", "begin": "simulated",
                 "change": {"train": {"all": {"lr": 0.1, "anchor": 10.0}}}},
        "from nothing": {"model": "kinematics"},
    }  # fmt: skip
    path = write_study(tmp_path, rows)
    values = yaml.safe_load(path.read_text())
    values |= {"simulate": {"scenes": 20, "seed": 1, "stride_s": 2.0}, "seeds": [0]}
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    write_real(tmp_path / "real.pkl")
    said: list[str] = []
    arguments = (tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, said.append)
    found = {result.name: result for result in conduct(read_study(path), *arguments)}
    assert len(said) == 1 + 2 + 2, "simulated scenes are not divided into folds"
    assert all(result.n == 24 for result in found.values())
    trained = tmp_path / "work" / "models"
    weights = [load_file(file / "model.safetensors")["cls_head.fc.weight"]
               for file in sorted(trained.iterdir())]  # fmt: skip
    gaps = sorted(np.abs(a - b).max() for k, a in enumerate(weights) for b in weights[:k])
    assert gaps[1] < 0.1 * gaps[-1], "the two held ones are near the one they began with"


@pytest.mark.parametrize(
    ("row", "wanted"),
    [({"model": "stgcn", "begin": "plain"}, "a simulated row above it"),
     ({"model": "stgcn", "begin": "later"}, "a simulated row above it"),
     ({"model": "stgcn", "simulated": True}, "a section simulate")],
)  # fmt: skip
def test_weights_come_from_a_simulated_row_above(
    tmp_path: Path, row: dict[str, object], wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted):
        read_study(write_study(tmp_path, {"plain": {"model": "protogcn"}, "row": row}))


def test_shipped_weights_are_judged_as_they_are_and_of_the_classes_asked_for(
    tmp_path: Path,
) -> None:
    shipped = load(ROOT / "params.yaml")[0].models["protogcn"].model_dump(mode="json")
    rows: dict[str, object] = {
        "network": {"model": "protogcn", "shipped": "demo/protogcn",
                    "change": {"models": {"protogcn": shipped}}},
        "statistics": {"model": "kinematics", "shipped": "demo/kinematics"},
        "both": {"mean": {"network": 1, "statistics": 3}},
    }  # fmt: skip
    study = read_study(write_study(tmp_path, rows))
    write_real(tmp_path / "real.pkl")
    said: list[str] = []
    arguments = (tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, said.append)
    found = {result.name: result for result in conduct(study, *arguments)}
    assert said == [], "nothing is trained"
    assert found["statistics"].metrics["auc"]["value"] > 0.9, "fast arms look like blows"
    assert found["network"].aucs[0] == found["network"].aucs[1]


def test_shipped_weights_of_other_classes_are_refused(tmp_path: Path) -> None:
    rows: dict[str, object] = {"a": {"model": "kinematics", "shipped": "demo/kinematics"}}
    path = write_study(tmp_path, rows)
    values = yaml.safe_load((tmp_path / "params.yaml").read_text())
    values |= {"classes": ["normal", "theft"], "normal_class": "normal"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    write_real(tmp_path / "real.pkl")
    with pytest.raises(InputError, match=r"expected weights of \['theft'\]"):
        conduct(read_study(path), tmp_path, tmp_path / "real.pkl", tmp_path / "w", 1, print)


def test_within_scenes_only_pairs_of_one_scene_count() -> None:
    scores = np.array([0.1, 0.2, 0.8, 0.9])
    events = np.array([False, True, False, True])
    assert within_groups(scores, events, ["a", "a", "b", "b"]) == (1.0, 2)
    assert within_groups(scores, events, ["a", "b", "b", "a"]) == (0.5, 2)
    assert within_groups(scores[:2], events[:2], ["a", "b"])[1] == 0


@pytest.mark.slow
def test_folds_never_divide_a_scene(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, {"plain": {"model": "protogcn"}}))
    write_real(tmp_path / "real.pkl")
    conduct(study, tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, lambda _: None)
    parts = [np.load(file) for file in (tmp_path / "work" / "probabilities").glob("*.npy")]
    assert sum(len(part) for part in parts) == 2 * 24
    assert all(len(part) % 3 == 0 for part in parts)


def test_annotations_of_the_dataset_stage_keep_their_groups_and_seconds(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, {"plain": {"model": "protogcn"}}))
    rows = [annotation(i, i % 2) | {"duration_s": 3.0} for i in range(24)]
    write_annotations(tmp_path / "own.pkl", {}, rows)
    splits, kept = read_annotations(prepare(study, tmp_path / "own.pkl", tmp_path / "work"))
    assert {row["duration_s"] for row in kept} == {3.0}
    group = {row["frame_dir"]: row["group"] for row in kept}
    assert set(group.values()) == {row["group"] for row in rows}
    for fold in range(2):
        train, test = ({group[c] for c in splits[f"{p}_{fold}"]} for p in ("train", "test"))
        assert not train & test


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
    rows = [annotation(i, i % 2) for i in range(4)]
    for row in rows:
        del row["group"]
    write_annotations(tmp_path / "real.pkl", {}, rows)
    with pytest.raises(InputError, match="expected a scene in every annotation"):
        conduct(study, tmp_path, tmp_path / "real.pkl", tmp_path / "work", 1, lambda _: None)
