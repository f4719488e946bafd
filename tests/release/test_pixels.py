"""`behaviour` is stopped where it is less often right on labeled clips, and says on which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks
from tests.release.test_unlabeled import bring_all
from tests.serving.behaviour.conftest import red_project
from tests.skeletons import annotation, config
from tests.stages.project import Project
from tests.videos import film
from vigil.clips import propose_clips
from vigil.dataset import annotation as clip_annotation
from vigil.dataset import write_annotations
from vigil.errors import InputError
from vigil.release.gate.pixels import Shown, show, stretches
from vigil.release.project import publish, verify
from vigil.schema import Clip, Skeletons, Timeline, Tracks, write_clips
from vigil.serving.behaviour.publish import publish_behaviour
from vigil.serving.behaviour.result import Behaviour
from vigil.serving.behaviour.stream import Pipeline, Stream
from vigil.session import OnnxSession
from vigil.video import decode

LEFTS = (None, 40, None, 420, None, 200, 380)  # where the one person of each film stands, if any


def labeled(root: Path) -> Project:
    """A project with seven films of three seconds, whose labels are what the pipeline says."""
    project = red_project(root)
    project.values["behaviours"]["behaviour"]["recognizers"] = ["protogcn"]
    project.values["gate"] |= {"rows": 8, "rounds": 3, "seconds": 0.1, "warmup_s": 0.0}
    project.values["gate"] |= {"max_slowdown": 50.0}
    project.values["evaluate"]["bootstrap"] = 200
    project.save()
    networks.recognizer(project.paths.onnx("protogcn"), scale=-10)  # somebody: assault
    spec = publish_behaviour("behaviour", project.config, project.paths)
    paths = project.paths
    pipeline = Pipeline.of(spec, lambda net: OnnxSession(paths.onnx(net.model), device="cpu"))
    rows, clips = [], []
    for number, left in enumerate(LEFTS):
        path = film(project.videos / f"v{number}.mp4", [lambda _, at=left: at], frames=36)
        frames = list(decode(path))
        times = np.array([frame.time_s for frame in frames])
        said = Stream(pipeline).feed([frame.rgb for frame in frames], times, last=True)
        mine = propose_clips(
            Timeline(path.stem, 512, 96, times), tracks(path.stem, said), spec.clips
        )
        labels = said.clip_probabilities[:, 0].argmax(1).tolist()
        line = Timeline(path.stem, 512, 96, times)
        rows += [
            clip_annotation(clip, label, path.stem, skeletons(path.stem, said), line)
            for clip, label in zip(mine, labels, strict=True)
        ]
        clips += mine
    write_clips(paths.clips, clips)
    ids = [row["frame_dir"] for row in rows]
    write_annotations(
        paths.dataset / "annotations.pkl", {"train": [], "val": [], "test": ids}, rows
    )
    return project


def tracks(name: str, said: Behaviour) -> Tracks:
    return Tracks(
        name, 512, 96, said.frame.astype(np.int32), said.time_s, said.track, said.box, said.score
    )


def skeletons(name: str, said: Behaviour) -> Skeletons:
    points = said.skeleton.reshape(-1, 17, 3)
    xy = np.where(points[..., 2:] > 0, points[..., :2], np.nan).astype(np.float32)
    return Skeletons(
        name, 512, 96, said.frame.astype(np.int32), said.time_s, said.track,
        xy.reshape(-1, 34), points[..., 2],
    )  # fmt: skip


def edit(project: Project, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the candidate's description says."""
    path = project.paths.triton_repo / "behaviour" / "1" / "behaviour.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def blind(told: dict[str, Any]) -> None:
    """Follow nobody: server and stages' code alike, so that no check of parity can notice."""
    told["tracker"]["new_track_threshold"] = told["tracker"]["high_threshold"] = 1.0
    told["detector"]["score_threshold"] = 1.0


def permute_labels(project: Project) -> None:
    """Name the classes in another order in every file of the candidate alike."""
    folder = project.paths.triton_repo / "behaviour"
    classes = ["assault", "faint", "normal"]
    edit(project, lambda told: told.update(classes=classes))
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in classes))
    old, new = (
        json.dumps(names).replace('"', '\\"') for names in (["normal", "assault", "faint"], classes)
    )
    path = folder / "config.pbtxt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def quality(verdict: dict[str, Any]) -> dict[str, bool]:
    return {
        check["name"]: check["passed"] for check in verdict["checks"] if check["topic"] == "quality"
    }


@pytest.mark.slow
def test_behaviour_ships_while_it_is_right_and_is_stopped_when_it_sees_nobody(
    tmp_path: Path,
) -> None:
    project = labeled(tmp_path / "p")
    config, paths = project.config, project.paths
    bring_all(project)
    first = verify(config, paths, "behaviour")
    assert first["why"] == []
    assert (first["test"]["clips"], first["test"]["videos"]) == (14, 7)
    assert quality(first)["protogcn: accuracy not worse than the same recognizer offline"]
    details = first["metrics"]["recognizers"]["protogcn"]
    assert (details["right"], details["agreement"]) == (14, 1.0)
    assert np.array(details["confusion"]).sum() == 14
    assert first["metrics"]["candidate"]["protogcn accuracy"]["n"] == 14
    page = (paths.reports / "gate" / "behaviour" / "index.html").read_text()
    assert "14 of 14 labeled test clips" in page
    assert "Right from pixels: 14" in page
    publish(config, paths, "behaviour", [])

    again = verify(config, paths, "behaviour")
    assert again["why"] == []
    assert quality(again)["protogcn: macro_f1 not worse than served"]
    assert again["metrics"]["against"] == "served"

    edit(project, blind)
    wrong = verify(config, paths, "behaviour")
    assert not wrong["ship"]
    assert any("protogcn: accuracy not worse than served" in why for why in wrong["why"])
    assert all(check["passed"] for check in wrong["checks"] if check["topic"] == "parity")
    with pytest.raises(InputError, match="did not pass the gate"):
        publish(config, paths, "behaviour", [])


@pytest.mark.slow
def test_a_first_version_with_permuted_labels_is_stopped(tmp_path: Path) -> None:
    project = labeled(tmp_path / "p")
    bring_all(project)
    permute_labels(project)
    wrong = verify(project.config, project.paths, "behaviour")
    assert not wrong["ship"]
    assert any(why.startswith("protogcn: accuracy not worse than the same") for why in wrong["why"])
    assert all(check["passed"] for check in wrong["checks"] if check["topic"] != "quality")


@pytest.mark.slow
def test_frames_read_in_reverse_channel_order_are_stopped_for_being_wrong(tmp_path: Path) -> None:
    project = labeled(tmp_path / "p")
    bring_all(project)
    entry = project.paths.triton_repo / "behaviour" / "1" / "model.py"
    entry.write_text(
        entry.read_text()
        + "\nfrom vigil.serving.behaviour.stream import Stream\n\n_take = Stream._take\n"
        + "Stream._take = lambda self, fs, *rest: _take(self, [f[..., ::-1] for f in fs], *rest)\n"
    )
    wrong = verify(project.config, project.paths, "behaviour")
    assert not quality(wrong)["protogcn: accuracy not worse than the same recognizer offline"]


def rows(count: int) -> list[dict[str, Any]]:
    """Two clips of each video."""
    return [annotation(number, number % 3) for number in range(count)]


def shown(count: int, most: int, seed: int = 0) -> Shown | str:
    given = rows(count)
    clips = {
        row["frame_dir"]: Clip(row["frame_dir"], row["video_id"], 0, 2, 0, 24, 1) for row in given
    }
    videos = {row["video_id"]: Path(row["video_id"]) for row in given}
    params = config().evaluate.model_copy(update={"seed": seed})
    classes = ("normal", "assault", "faint")
    return show(given, clips, videos, classes, "normal", most, params)


def test_clips_are_chosen_as_whole_videos_by_the_seed() -> None:
    some, other = shown(40, 13), shown(40, 13, seed=1)
    assert isinstance(some, Shown)
    assert isinstance(other, Shown)
    assert (some.test["clips"], some.test["videos"], some.total) == (14, 7, (40, 20))
    assert some.test == shown(40, 13).test  # type: ignore[union-attr]
    assert some.test["sha256"] != other.test["sha256"]
    assert "14 of 40 labeled test clips with footage, 7 of 20 videos" in some.note


@pytest.mark.parametrize(("most", "clips"), [(0, 40), (1, 10), (1000, 40)])
def test_as_many_clips_are_chosen_as_a_bootstrap_needs_at_least(most: int, clips: int) -> None:
    some = shown(40, most)
    assert isinstance(some, Shown)
    assert some.test["clips"] == clips


def test_too_few_videos_are_no_ground_to_judge_on() -> None:
    assert shown(8, 0) == "labeled test clips of 4 videos with footage, 5 are needed"


def test_windows_that_touch_are_one_stretch() -> None:
    clips = [Clip(str(at), "v", at, at + 4, 0, 0, 0) for at in (20.0, 0.0, 1.0, 5.0, 10.0)]
    found = [[clip.start_s for clip in part] for part in stretches(clips, 0.5)]
    assert found == [[0.0, 1.0, 5.0], [10.0], [20.0]]
