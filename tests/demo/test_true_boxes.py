"""True boxes are embedded by the code that embeds the tracker's, and only once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.skeletons import config
from tests.videos import FPS, HEIGHT, TOP, WIDTH, film, walk
from vigil.config import Config, load
from vigil.demo.true_boxes import embed_boxes
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.perception.embedder import embed_video, load_embedder
from vigil.schema import NOBODY, Tracks


def boxes(frames: int = 24) -> Tracks:
    """Return the true boxes of the one who walks through `film`."""
    frame = np.arange(frames, dtype=np.int32)
    left = 40.0 + 4 * frame
    xyxy = np.stack([left, left * 0 + TOP, left + 32, left * 0 + TOP + 64], axis=1)
    return Tracks("v", WIDTH, HEIGHT, frame, frame / FPS, frame * 0 + 3, xyxy.astype(np.float32),
                  np.ones(frames, np.float32))  # fmt: skip


def project(root: Path) -> tuple[Config, Paths]:
    values = config().model_dump(mode="json")
    values["embed"] |= {"crop_px": 16, "every_s": 0.25}
    values["paths"]["videos"] = "videos"
    values["workers"] = 1
    (root / "params.yaml").write_text(json.dumps(values), "utf-8")
    cfg, paths = load(root / "params.yaml")
    paths.videos.mkdir()
    film(paths.videos / "v.mp4", [walk(40)])
    networks.color_clip(paths.onnx("clip_image"))
    return cfg, paths


def test_true_boxes_are_embedded_as_tracks_are_and_kept(tmp_path: Path) -> None:
    cfg, paths = project(tmp_path)
    found = embed_boxes({"v": boxes()}, cfg, paths)["v"]
    wanted = embed_video(paths.videos / "v.mp4", boxes(), load_embedder(cfg, paths), cfg.embed)
    np.testing.assert_array_equal(found.embedding, wanted.embedding)
    assert set(found.track_id.tolist()) == {NOBODY, 3}
    embed_boxes({"v": boxes()}, cfg, paths)
    report = json.loads((tmp_path / ".vigil" / "true_boxes" / "report.json").read_text("utf-8"))
    assert [row["cache"] for row in report["rows"]] == ["hit"]


def test_true_boxes_of_a_video_that_is_gone_are_one_clear_line(tmp_path: Path) -> None:
    cfg, paths = project(tmp_path)
    with pytest.raises(InputError, match="expected the video w, got none"):
        embed_boxes({"w": boxes()}, cfg, paths)
