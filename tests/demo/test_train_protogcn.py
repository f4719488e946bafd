"""Pretraining: a tiny run end to end, and its weights as the beginning of another training."""

from __future__ import annotations

import runpy
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import ROOT
from tests.skeletons import config, write_set
from vigil.config import Config, load
from vigil.dataset import read_annotations, select, write_annotations
from vigil.demo import rendered
from vigil.demo.disturbances import Disturbance
from vigil.demo.footage import FPS
from vigil.demo.images import scene_seeds
from vigil.demo.learned_errors import learn, read
from vigil.demo.sightings import sightings
from vigil.demo.simulated import USUAL, Errors, rows, scene_id, skeletons
from vigil.demo.train_protogcn import join, pretrain, pretraining
from vigil.demo.world.scenes import make_scene
from vigil.errors import InputError
from vigil.frame_systems import no_skeletons
from vigil.models import store
from vigil.schema import Timeline
from vigil.training import train
from vigil.weights import SHIPPED

LEARNING = ("--scenes", "20", "--rendered", "2", "--epochs", "1", "--learn-errors")


def started(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Run the command with options."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["train_protogcn", *options])
    monkeypatch.delitem(sys.modules, "vigil.demo.train_protogcn")
    runpy.run_module("vigil.demo.train_protogcn", run_name="__main__")


def assert_simulated(out: Path, settings: Config, errors: Errors) -> None:
    """Check that the first scene of a run was simulated with these errors."""
    kept = {row["frame_dir"]: row for row in read_annotations(out / "simulated.pkl")[1]}
    (seed,) = scene_seeds("train", 50, 1)
    again = rows(
        seed, settings.clips, settings.classes, settings.normal_class, errors,
        settings.skeletons.smooth_s,
    )  # fmt: skip
    assert again
    for row in again:
        np.testing.assert_array_equal(kept[row["frame_dir"]]["keypoint"], row["keypoint"])


def test_a_tiny_pretraining_gives_weights_that_another_training_begins_with(tmp_path: Path) -> None:
    settings = config().model_copy(update={"classes": ("normal", "assault", "faint")})
    found = pretrain(tmp_path, 40, pretraining(settings, 1, ""), workers=1)
    assert found["n"]
    weights = tmp_path / "protogcn.safetensors"
    write_set(tmp_path / "annotations.pkl")
    later = config(init=str(weights), epochs=1, lr=1e-9)
    train("protogcn", later, tmp_path / "annotations.pkl", tmp_path / "later", tmp_path / "work")
    before = store.load(tmp_path / "model")[0].backbone.state_dict()
    after = store.load(tmp_path / "later")[0].backbone.state_dict()
    learned = [key for key in before if "running" not in key and "tracked" not in key]
    for key in learned:
        np.testing.assert_allclose(after[key], before[key], atol=1e-5)


def test_scenes_are_simulated_with_the_errors_that_are_given(tmp_path: Path) -> None:
    settings = config().model_copy(update={"classes": ("normal", "assault", "faint")})
    scenes = [make_scene(100_000_000 + seed, fps=12, duration_s=4) for seed in (3, 4)]
    found = [sightings(scene, skeletons(scene, "v", Disturbance(), 0)) for scene in scenes]
    errors = learn(found, passes=1)[0]
    pretrain(tmp_path, 20, pretraining(settings, 1, ""), workers=1, how=errors)
    assert_simulated(tmp_path, settings, errors)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--errors", "none"], "none: expected learned errors, got "),
        (["--share", "0.5"], "--share: expected --init, whose weights"),
        (
            ["--learn-errors", "--errors", "e"],
            "--learn-errors: expected no --errors beside it, got e",
        ),
        (["--learn-errors", "--rendered", "1"], "errors: expected 2 scenes or more, got 1"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    options: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        started(monkeypatch, "--out", str(tmp_path / "o"), *options)
    assert ended.value.code == InputError.exit_code
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(line)
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_errors_learned_from_rendered_scenes_are_those_of_simulated_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(monkeypatch, "--out", str(tmp_path), *LEARNING)
    assert_simulated(tmp_path, load(ROOT / "params.yaml")[0], read(tmp_path / "errors.safetensors"))
    drawn = {row["video_id"] for row in read_annotations(tmp_path / "rendered.pkl")[1]}
    assert drawn == {scene_id(seed) for seed in scene_seeds("train", 60, 2)}
    assert len(list((tmp_path / "rendered").glob("*/sim_*.parquet"))) == 2


@pytest.mark.slow
def test_networks_that_find_nobody_leave_the_usual_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load(ROOT / "params.yaml")[0]
    folder = tmp_path / "rendered" / rendered.key(settings, SHIPPED)
    folder.mkdir(parents=True)
    for seed in scene_seeds("train", 60, 2):  # as they are kept where nobody is found
        scene = make_scene(seed, fps=FPS)
        line = Timeline(scene_id(seed), scene.width, scene.height, np.arange(2) / FPS)
        no_skeletons(line).write(folder / f"{scene_id(seed)}.parquet")
    started(monkeypatch, "--out", str(tmp_path), *LEARNING)
    assert "got none: simulated people err by the usual sizes" in caplog.text
    assert_simulated(tmp_path, settings, USUAL)
    assert not (tmp_path / "errors.safetensors").exists()


def test_rendered_windows_are_learned_from_twice_and_held_out_once(tmp_path: Path) -> None:
    write_set(tmp_path / "simulated.pkl")
    splits, rows = read_annotations(tmp_path / "simulated.pkl")
    drawn = [row | {"frame_dir": f"drawn_{place}"} for place, row in enumerate(rows)]
    names = [row["frame_dir"] for row in drawn]
    parts: dict[str, list[str]] = {"train": names[2:], "val": names[:2], "test": []}
    write_annotations(tmp_path / "rendered.pkl", parts, drawn)
    joined = join(tmp_path / "simulated.pkl", tmp_path / "rendered.pkl", tmp_path / "joined.pkl")
    found = read_annotations(joined)
    train = [row["frame_dir"].split("#")[0] for row in select(*found, "train")]
    held_out = [row["frame_dir"] for row in select(*found, "val")]
    assert held_out == [*splits["val"], *names[:2]]
    assert Counter(train) == Counter([*splits["train"], *names[2:], *names[2:]])


def test_a_share_of_what_is_learned_is_kept(tmp_path: Path) -> None:
    settings = config().model_copy(update={"classes": ("normal", "assault", "faint")})
    pretrain(tmp_path / "first", 20, pretraining(settings, 1, ""), workers=1)
    begun = tmp_path / "first" / "protogcn.safetensors"
    later = pretraining(settings, 1, str(begun))
    (tmp_path / "second").mkdir()
    shutil.copyfile(tmp_path / "first" / "simulated.pkl", tmp_path / "second" / "simulated.pkl")
    pretrain(tmp_path / "second", 20, later, share=0.25)
    before, trained, kept = (
        load_file(path)
        for path in (
            begun,
            tmp_path / "second" / "model" / "model.safetensors",
            tmp_path / "second" / "protogcn.safetensors",
        )
    )
    moved = 0.0
    for name, values in kept.items():
        if values.is_floating_point():
            torch.testing.assert_close(values, 0.75 * before[name] + 0.25 * trained[name])
            moved = max(moved, float((trained[name] - before[name]).abs().max()))
    assert moved > 0.001
