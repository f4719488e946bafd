"""The search learns from validation alone, goes on where it was, and says what to copy."""

from __future__ import annotations

import csv
import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stages import tune as stage
from tests.skeletons import config, write_set
from vigil.config import Config, load
from vigil.dataset import read_annotations, write_annotations
from vigil.errors import InputError
from vigil.training import train
from vigil.tuning import command, current, outside, score, tune

SPACE: dict[str, Any] = {
    "train.lr": {"low": 0.01, "high": 0.3, "log": True},
    "models.base_channels": {"choices": [8, 16]},
    "train.augment.crop": {"low": 0.0, "high": 0.4, "log": False},
}


def searching(trials: int = 3, **values: Any) -> Config:
    raw = config(epochs=1, lr=0.1).model_dump()
    raw["tune"] |= {"trials": trials, "space": SPACE, **values}
    return Config.model_validate(raw)


@pytest.fixture(scope="module")
def annotations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset") / "annotations.pkl"
    write_set(path, 24)
    return path


def test_a_search_goes_on_and_its_first_trial_is_what_the_parameters_say(
    annotations: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    two = tune("protogcn", searching(2), annotations, tmp_path, said.append)
    four = tune("protogcn", searching(4), annotations, tmp_path, said.append)
    assert sorted(one.number for one in four) == [0, 1, 2, 3]
    assert len(said) == 4
    assert {one.number: one.values for one in two}.items() <= {
        one.number: one.values for one in four
    }.items()
    first = next(one for one in four if one.number == 0)
    assert first.values == {"train.lr": 0.1, "models.base_channels": 8, "train.augment.crop": 0.2}
    assert [one.value for one in four] == sorted((one.value for one in four), reverse=True)
    for one in four:
        assert 0.01 <= one.values["train.lr"] <= 0.3
        assert one.values["models.base_channels"] in (8, 16)


def test_a_trial_of_another_width_begins_from_nothing(annotations: Path, tmp_path: Path) -> None:
    narrow = config(epochs=1)
    train("protogcn", narrow, annotations, tmp_path / "narrow", tmp_path / "work")
    raw = config(epochs=1, init=str(tmp_path / "narrow")).model_dump()
    raw["tune"] |= {"trials": 1, "space": {"models.base_channels": {"choices": [16]}}}
    (tried,) = tune("protogcn", Config.model_validate(raw), annotations, tmp_path / "search")
    assert tried.values == {"models.base_channels": 16, "train.init": ""}


def test_a_trial_that_was_killed_is_tried_again(
    annotations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the first training; the next call tries the same parameters again."""

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vigil.tuning.train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune("protogcn", searching(1), annotations, tmp_path)
    (one,) = tune("protogcn", searching(1), annotations, tmp_path)
    assert one.number == 1
    assert one.values["train.lr"] == 0.1


def test_test_clips_are_never_looked_at(annotations: Path, tmp_path: Path) -> None:
    splits, rows = read_annotations(annotations)
    held = set(splits["test"])
    blind = [row | {"label": 0} if row["frame_dir"] in held else row for row in rows]
    for row in blind:
        if row["frame_dir"] in held:
            row["keypoint"] = np.full_like(row["keypoint"], np.nan)
    other = tmp_path / "blind.pkl"
    write_annotations(other, splits, blind)
    seen, unseen = (
        tune("protogcn", searching(2), path, tmp_path / path.stem) for path in (annotations, other)
    )
    assert [(o.value, o.values) for o in seen] == [(o.value, o.values) for o in unseen]


def test_the_command_writes_a_table_and_the_line_to_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(searching(2, metric="auc").model_dump(mode="json"))
    )
    cfg, paths = load(tmp_path / "params.yaml")
    write_set(paths.dataset / "annotations.pkl", 24)
    stage.main(cfg, paths, Namespace(model="protogcn"))
    printed = capsys.readouterr().out.splitlines()
    assert "2 trials in" in printed[-2]
    assert printed[-2].endswith("trial 0 is what params.yaml says")
    with (paths.reports / "tune/protogcn.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"trial", "auc", "seconds", *SPACE}
    assert float(rows[0]["auc"]) >= float(rows[1]["auc"])
    assert f"++train.protogcn.lr={rows[0]['train.lr']}" in shlex.split(printed[-1])


def test_a_space_without_the_present_values_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = searching(1).model_dump(mode="json")
    raw["tune"]["space"]["train.lr"] = {"low": 0.2, "high": 0.3, "log": True}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    cfg, paths = load(tmp_path / "params.yaml")
    write_set(paths.dataset / "annotations.pkl", 24)
    stage.main(cfg, paths, Namespace(model="protogcn"))
    assert "the space leaves out params.yaml's train.lr 0.1" in capsys.readouterr().out


@pytest.mark.parametrize("file", ["params.yaml", "params.real.yaml"])
def test_the_shipped_spaces_hold_the_shipped_values(file: str) -> None:
    shipped, _ = load(Path(__file__).parents[1] / file)
    assert outside("protogcn", shipped) == {}


def test_the_line_to_copy_names_keys_of_the_one_recognizer() -> None:
    words = shlex.split(command("b", {"train.augment.crop": 0.1, "models.base_channels": 16}))
    assert words == ["dvc", "exp", "run", "-S", "++train.b.augment.crop=0.1",
                     "-S", "++models.b.base_channels=16"]  # fmt: skip


def test_parameters_are_overridden_for_one_recognizer() -> None:
    cfg = config()
    changed = cfg.override("protogcn", {"train.augment.crop": 0.5, "models.base_channels": 16})
    assert current(changed, "protogcn", "train.augment.crop") == 0.5
    assert changed.models["protogcn"].model_dump()["base_channels"] == 16
    assert changed.train["all"]["augment"]["crop"] == cfg.train["all"]["augment"]["crop"]
    with pytest.raises(InputError, match=r"train\.lr: .*less than or equal to 10, got 99"):
        cfg.override("protogcn", {"train.lr": 99})


def test_an_unknown_parameter_is_one_line(annotations: Path, tmp_path: Path) -> None:
    cfg = searching(space={"train.nothing": {"choices": [1]}})
    with pytest.raises(InputError, match=r"expected parameters of protogcn, got train\.nothing"):
        tune("protogcn", cfg, annotations, tmp_path)


def test_searching_needs_validation_clips(annotations: Path, tmp_path: Path) -> None:
    splits, rows = read_annotations(annotations)
    write_annotations(tmp_path / "a.pkl", splits | {"val": []}, rows)
    with pytest.raises(InputError, match="expected validation clips of both kinds"):
        tune("protogcn", searching(), tmp_path / "a.pkl", tmp_path)


def test_scores_are_macro_f1_or_auc() -> None:
    labels = np.array([0, 0, 1, 1])
    sure = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])
    assert score(sure, labels, searching(metric="auc")) == 1.0
    assert score(sure, labels, searching(metric="macro_f1")) == pytest.approx((2 / 3 + 0.8) / 2)
