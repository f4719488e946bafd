"""`python -m stages.labels`: from votes to what `dataset` reads, as people run it."""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages import dataset, labels
from tests.conftest import ROOT
from tests.skeletons import CLASSES, config, person, skeletons
from vigil.command import run_actions
from vigil.config import load
from vigil.dataset import read_annotations
from vigil.schema import Clip, Label, Timeline, write_clips, write_groups, write_labels

VIDEOS = 8


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A project of eight videos of one clip each, before anybody has labeled any."""
    values = config(epochs=2).model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    _, paths = load(tmp_path / "params.yaml")
    paths.videos.mkdir(parents=True)
    clips = []
    for index in range(VIDEOS):
        video, rng = f"v {index}=영상", np.random.default_rng(index)
        (paths.videos / f"{video}.mp4").write_bytes(bytes([index]))
        skeletons(video, {1: person(24, 0.5, rng)}).write(paths.skeletons / f"{video}.parquet")
        Timeline(video, 640, 360, np.arange(24) / 12).write(paths.timelines / f"{video}.parquet")
        clips.append(Clip(f"{video}@0-2000", video, 0.0, 2.0, 0, 24, 1))
    write_clips(paths.clips, clips)
    write_groups(paths.groups, {clip.video_id: clip.video_id for clip in clips})
    return tmp_path / "params.yaml"


@pytest.fixture
def command(
    params: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command line; return its exit status and all that it said."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["labels", "--params", str(params), *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = 0
        try:
            run_actions(labels.__doc__, labels.ACTIONS)
        except SystemExit as ended:
            status = int(ended.code or 0)
        return status, "".join(capsys.readouterr())

    return run


def published(params: Path, given: list[int]) -> dict[str, int]:
    """Label every clip, publish, follow the advice, make the dataset; return its labels."""
    _, paths = load(params)
    names = [f"v {index}=영상@0-2000" for index in range(VIDEOS)]
    file = params.with_name("given.csv")
    write_labels(file, [Label(c, CLASSES[k], "kim", "") for c, k in zip(names, given, strict=True)])
    _run("import", params, format="csv", path=str(file), annotator=f"kim {sum(given)}")
    _run("publish", params)
    values = yaml.safe_load(params.read_text("utf-8"))
    values["paths"] |= {"labels": "data/labels.csv", "events": "data/labels.events.csv"}
    params.write_text(yaml.safe_dump(values))
    cfg, paths = load(params)
    dataset.main(cfg, paths, Namespace())
    _, rows = read_annotations(paths.dataset / "annotations.pkl")
    return {row["frame_dir"]: row["label"] for row in rows}


def _run(name: str, params: Path, **arguments: object) -> None:
    action = next(one for one in labels.ACTIONS if one.name == name)
    action.main(*load(params), Namespace(**arguments))


def test_the_dataset_is_made_of_what_was_published(
    params: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [index % 2 for index in range(VIDEOS)]
    assert list(published(params, first).values()) == first
    told = capsys.readouterr().out
    assert "  labels: data/labels.csv\n  events: data/labels.events.csv\n" in told
    before = params.with_name("data").joinpath("labels.csv").read_bytes()
    second = [1, *first[1:]]
    found = published(params, second)
    assert len(found) == VIDEOS - 1, "two people disagree about the first clip: it is left out"
    assert params.with_name("data").joinpath("labels.csv").read_bytes() != before
    assert "set in params.yaml" not in capsys.readouterr().out.split("publish:")[-1]


def test_dvc_makes_the_dataset_anew_when_the_published_file_changes() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    assert "${paths.labels}" in stages["dataset"]["deps"]


def test_help_names_every_action(command: Callable[..., tuple[int, str]]) -> None:
    _, helped = command("--help")
    for action in labels.ACTIONS:
        assert f" {action.name} " in helped
        assert action.help in " ".join(command(action.name, "--help")[1].split())


def test_the_command_line_says_what_it_did_or_why_not(
    command: Callable[..., tuple[int, str]], params: Path
) -> None:
    assert command("check") == (0, "check: 0 votes, nothing wrong\n")
    assert command("user", "add", "kim", "--role", "admin", stdin="long enough\n")[0] == 0
    assert command("user", "list") == (0, "kim\tadmin\tactive\n")
    assert command("user", "password", "kim", stdin="short\n")[0] == 2
    assert command("user", "remove")[1] == "user remove: expected a name, got none\n"
    status, told = command("publish")
    assert status == 2
    assert told.startswith("publish: expected at least one settled clip")
    assert told.count("\n") == 1
    copy = params.with_name("copy.db")
    assert command("backup", str(copy))[0] == 0
    assert copy.is_file()
    assert "nothing changed yet" in command("rename", "assault=fight")[1]
    assert command("rename", "assault")[0] == 2
    assert command("export", "csv", str(params.with_name("x.csv")))[0] == 2
