"""Demo footage: the plan, the videos and their ground truth."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from vigil.demo.footage import build_scene, make_footage, plan_footage
from vigil.demo.world.casting import leaf_label


def test_the_plan_is_even_over_classes_scenes_and_cameras() -> None:
    shots = plan_footage(40, 0)
    classes = Counter(leaf_label(s.behavior) for s in shots)
    assert len({s.video_id for s in shots}) == 40
    assert max(classes.values()) - min(classes.values()) <= 3
    assert len({s.scene for s in shots}) >= 10
    assert {s.camera for s in shots} == {0, 1}
    assert max(Counter(s.scene for s in shots).values()) <= 5


def test_scenes_do_not_give_the_class_away() -> None:
    """With more footage every scene shows every class."""
    seen = {(s.scene, leaf_label(s.behavior)) for s in plan_footage(120, 0)}
    assert len(seen) == 3 * len({scene for scene, _ in seen})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_footage(tmp_path_factory.mktemp("footage"), 1, seed=3, workers=1).parent


def test_video_and_ground_truth_agree(folder: Path) -> None:
    (row,) = json.loads((folder / "manifest.json").read_text())["videos"]
    video = folder / "videos" / f"{row['video_id']}.mp4"
    truth = json.loads(
        gzip.decompress((folder / "ground_truth" / f"{row['video_id']}.json.gz").read_bytes())
    )
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        times = [frame.time for frame in container.decode(stream)]
    np.testing.assert_allclose(times, np.arange(truth["n_frames"]) / 12, atol=1e-4)
    assert 8 * 12 <= truth["n_frames"] <= 12 * 12
    assert truth["label"] == row["label"]


def test_ground_truth_columns_are_parallel(folder: Path) -> None:
    (path,) = (folder / "ground_truth").iterdir()
    truth = json.loads(gzip.decompress(path.read_bytes()))
    columns = truth["persons"]
    assert len({len(v) for v in columns.values()}) == 1
    size = [truth["height"], truth["width"]]
    for rle, box in zip(columns["rle"][:40], columns["xyxy"], strict=False):
        x, y, w, h = coco_mask.toBbox({"size": size, "counts": rle})
        assert np.allclose([x, y, x + w, y + h], box)


def test_the_video_shows_the_scene_again_built_from_its_plan(folder: Path) -> None:
    """Decoded pixels and stored truth are those of the same seeds, up to compression."""
    (shot,) = plan_footage(1, 3)
    image, truth = build_scene(shot).render(10)
    path = folder / "ground_truth" / f"{shot.video_id}.json.gz"
    columns = json.loads(gzip.decompress(path.read_bytes()))["persons"]
    stored = [b for b, f in zip(columns["xyxy"], columns["frame"], strict=True) if f == 10]
    assert stored == truth.boxes.tolist()
    with av.open(str(folder / "videos" / f"{shot.video_id}.mp4")) as container:
        frame = list(itertools.islice(container.decode(video=0), 11))[10]
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - image).mean() < 6
