"""Detector and pose network are held against known people, where there are any."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.red_networks import JOINT_OFFSETS, MISSING_JOINT
from tests.serving.behaviour.conftest import red_project
from tests.skeletons import annotation
from tests.stages.project import Project
from tests.videos import HEIGHT, PERSON, TOP, WIDTH, film, walk
from vigil.dataset import write_annotations
from vigil.errors import InputError
from vigil.release.gate.people import Known, known
from vigil.release.project import publish, verify

FRAMES = 14
STARTS = (0, 40, 120, 200, 280, 400)


def truth(name: str, start: int) -> dict[str, Any]:
    """Return who is in a film of one person who walks 4 pixels a frame, as the demo writes it."""
    lefts = [start + 4 * frame for frame in range(FRAMES)]
    seen = np.where(np.arange(17) == MISSING_JOINT, 0, 2).tolist()
    return {
        "video_id": name, "width": WIDTH, "height": HEIGHT, "n_frames": FRAMES,
        "persons": {
            "frame": list(range(FRAMES)), "track_id": [1] * FRAMES,
            "xyxy": [[x, TOP, x + PERSON[0], TOP + PERSON[1]] for x in lefts],
            "keypoints": [(JOINT_OFFSETS + np.array([x, TOP])).tolist() for x in lefts],
            "visibility": [seen] * FRAMES,
        },
    }  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with six test videos of which it is known who is in them."""
    found = red_project(tmp_path / "p")
    found.values["gate"] |= {"rows": 8, "rounds": 3, "seconds": 0.1, "warmup_s": 0.0}
    found.values["gate"] |= {"max_slowdown": 50.0, "frames": 7}
    found.values["evaluate"]["bootstrap"] = 200
    found.save()
    folder = found.root / found.config.gate.ground_truth
    folder.mkdir(parents=True)
    rows = []
    for number, start in enumerate(STARTS):
        name = f"v{number}"
        film(found.videos / f"{name}.mp4", [walk(start)], frames=FRAMES)
        write(folder / f"{name}.json.gz", truth(name, start))
        rows.append(annotation(number, 0) | {"frame_dir": f"{name}@0-2000", "video_id": name})
    ids = {"train": [], "val": [], "test": [row["frame_dir"] for row in rows]}
    write_annotations(found.paths.dataset / "annotations.pkl", ids, rows)
    return found


def write(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(gzip.compress(json.dumps(value).encode()))


def shift(path: Path, tensors: tuple[str, ...], pixels: float) -> None:
    """Let a network see everything further to the right; what is x comes first on its axis."""
    network = onnx.load(str(path))
    for tensor in network.graph.initializer:
        if tensor.name in tensors:
            value = numpy_helper.to_array(tensor).copy()
            if tensor.name == "xywh":
                value[:, 0] += np.float32(pixels)
            else:
                value[..., 0] += np.float32(pixels)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    onnx.save(network, str(path))


def gather(project: Project, name: str) -> Known | str:
    config, paths = project.config, project.paths
    videos = {path.stem: path for path in sorted(project.videos.iterdir())}
    test = [f"v{number}" for number in range(len(STARTS))]
    return known(name, config, paths.root / config.gate.ground_truth, videos, test)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric", "tensors"),
    [("yolo11-seg", "ap50", ("xywh",)), ("rtmo", "oks_ap", ("joints",))],
)
def test_a_network_that_sees_people_elsewhere_is_stopped(
    project: Project, name: str, metric: str, tensors: tuple[str, ...]
) -> None:
    config, paths = project.config, project.paths
    first = verify(config, paths, name)
    assert first["why"] == []
    assert first["metrics"]["candidate"][metric]["value"] > 0.9
    assert (first["test"]["frames"], first["test"]["videos"]) == (42, 6)
    publish(config, paths, name, [])
    again = verify(config, paths, name)
    assert again["why"] == []
    assert again["metrics"]["differences"][0]["verdict"] == "within noise"
    shift(paths.onnx(name), tensors, 24.0)
    wrong = verify(config, paths, name)
    (reason,) = wrong["why"]
    assert reason.startswith(f"{metric} not worse than served")
    assert "worse" in reason
    page = (paths.reports / "gate" / name / "index.html").read_text()
    assert "42 frames with people who are known of 6 videos" in page
    assert "6 of 6 test videos, at most 7 frames of each" in page


@pytest.mark.slow
def test_without_known_boxes_the_page_says_that_accuracy_is_not_judged(project: Project) -> None:
    project.values["gate"]["ground_truth"] = ""
    project.save()
    said = verify(project.config, project.paths, "yolo11-seg")
    assert said["ship"], said["why"]
    assert said["metrics"] == {}
    page = (project.paths.reports / "gate" / "yolo11-seg" / "index.html").read_text()
    assert "Accuracy not judged: no boxes known" in page


def test_what_is_known_of_too_few_videos_is_not_judged(project: Project) -> None:
    folder = project.root / project.config.gate.ground_truth
    assert isinstance(gather(project, "yolo11-seg"), Known)
    assert isinstance(gather(project, "rtmo"), Known)
    for name in ("v0", "v1"):
        (folder / f"{name}.json.gz").unlink()
    assert gather(project, "yolo11-seg") == "boxes known of 4 test videos, 5 are needed"
    for path in folder.iterdir():
        path.unlink()
    assert gather(project, "yolo11-seg") == "no boxes known"


def test_boxes_alone_judge_no_joints(project: Project) -> None:
    folder = project.root / project.config.gate.ground_truth
    for number, start in enumerate(STARTS):
        told = truth(f"v{number}", start)
        del told["persons"]["keypoints"], told["persons"]["visibility"]
        write(folder / f"v{number}.json.gz", told)
    assert isinstance(gather(project, "yolo11-seg"), Known)
    assert gather(project, "rtmo") == "no joints known"


def test_a_file_that_is_no_ground_truth_is_one_clear_line(project: Project) -> None:
    path = project.root / project.config.gate.ground_truth / "v3.json.gz"
    half = truth("v3", STARTS[3])
    del half["persons"]["visibility"]
    contents = [b"{}", b'{"persons": {"frame": [0]}}', json.dumps(half).encode()]
    for content in (b"", *map(gzip.compress, contents)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"v3\.json\.gz: expected who is in a video"):
            gather(project, "yolo11-seg")
