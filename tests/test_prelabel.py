"""Suggestions by recognizers that a real Triton serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import networks
from tests.skeletons import config as small
from tests.skeletons import person, skeletons
from vigil.config import Config
from vigil.ensemble import reads_of
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.prelabel import prelabel, rows_by_video
from vigil.schema import Clip, Timeline
from vigil.serving.server import EmbeddedTriton
from vigil.session import OnnxSession

CLIPS = [Clip(f"{video}@{i}", video, 2.0 * i, 2.0 * i + 2, 24 * i, 24 * i + 24, 1)
         for video in ("cam1", "cam2", "no skeletons") for i in range(3)]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> tuple[Config, Paths]:
    """Two videos of skeletons, and a third without; the network takes M = 2, T = 4."""
    values = small().model_dump()
    values["classes"] = ("normal", "assault", "faint")
    config = Config.model_validate(values)
    short = config.dataset.model_copy(update={"clip_len": 4, "max_persons": 2})
    config = config.model_copy(update={"dataset": short})
    paths = config.resolve(tmp_path)
    for index, video in enumerate(("cam1", "cam2")):
        joints = person(72, 0.5 + index, np.random.default_rng(index))
        skeletons(video, {1: joints}).write(paths.skeletons / f"{video}.parquet")
        Timeline(video, 640, 360, np.arange(72) / 12).write(paths.timelines / f"{video}.parquet")
    networks.recognizer_model(paths.triton_repo, "protogcn")
    return config, paths


@pytest.mark.slow
def test_every_clip_with_skeletons_gets_what_the_served_network_says(
    project: tuple[Config, Paths],
) -> None:
    config, paths = project
    with EmbeddedTriton(paths.triton_repo, ["protogcn"]) as server:
        found = prelabel("protogcn", server.grpc_url, CLIPS, config, paths)
        renamed = config.model_copy(update={"classes": ("normal", "assault", "other")})
        with pytest.raises(InputError, match=r"expected .*'other'"):
            prelabel("protogcn", server.grpc_url, CLIPS, renamed, paths)
    assert [one.clip_id for one in found] == [clip.clip_id for clip in CLIPS[:6]]
    assert {one.system for one in found} == {"protogcn"}
    session = OnnxSession(paths.onnx("protogcn"))
    rows = [row for own in rows_by_video(CLIPS, paths) for row in own]
    expected = session.run(reads_of("protogcn", config).batch(rows).feeds)["probabilities"]
    np.testing.assert_allclose([one.probabilities for one in found], expected, atol=1e-5)


def test_clips_without_any_skeletons_are_refused(project: tuple[Config, Paths]) -> None:
    _, paths = project
    assert list(rows_by_video(CLIPS[6:], paths)) == []
