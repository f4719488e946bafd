"""The reference of real annotations and a real network, and the command that judges by it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import networks, skeletons
from tests.watching.served import CLASSES, REFERENCE
from vigil.config import load
from vigil.models.reading import SkeletonReading
from vigil.session import OnnxSession
from vigil.watching.log import RequestLog
from vigil.watching.record import Note
from vigil.watching.reference import Reference, make

READS = SkeletonReading(clip_len=4, max_persons=2, sampling="stretch")


def made(folder: Path, count: int = 80) -> tuple[Reference, OnnxSession, list[dict[str, Any]]]:
    rows = skeletons.write_set(folder / "annotations.pkl", count)
    network = networks.recognizer(folder / "model.onnx")
    session = OnnxSession(network)
    found = make("protogcn", CLASSES, READS, (session, network), folder, REFERENCE)
    return found, session, rows


def test_counts_what_each_video_held_and_names_none(tmp_path: Path) -> None:
    found, _, _ = made(tmp_path)
    persons = found.rows["persons"]
    assert persons.names == ("up to 2", "3 or more")
    assert persons.splits == ("train",)
    assert (persons.counts[:, 0] == 2).all()  # two clips a video, each of two persons
    assert persons.counts[:, 1].sum() == 0
    assert found.rows["class"].splits == ("val",)
    assert found.rows["class"].names == CLASSES
    assert set(found.clips) == set(found.rows)
    assert "v1" not in found.model_dump_json()


@pytest.mark.slow
def test_the_command_names_joints_that_are_found_worse_than_in_training(
    params: dict[str, Any], project: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    params["drift"]["least_groups"] = 3
    file = project(params)
    _, paths = load(file)
    reference, session, rows = made(tmp_path / "made")
    reference.write(paths.reference("protogcn"))

    def drift() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stages.drift", "--params", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    nothing = drift()
    assert nothing.returncode == 2
    assert nothing.stderr.count("\n") == 1
    with RequestLog(tmp_path / "logs" / "requests", CLASSES, load(file)[0].request_log) as log:
        for row in rows:
            feeds = READS.batch([row]).feeds
            feeds["keypoints"] = feeds["keypoints"] * np.array([1, 1, 0.5], np.float32)
            with log.request("protogcn", 1, Note(source=row["video_id"])) as call:
                log.tell(call, "protogcn", feeds, session.run(feeds), Note())
    told = drift()
    assert told.returncode == 0, told.stderr
    alarms = [line for line in told.stdout.splitlines() if " alarm " in line]
    assert len(alarms) == 1
    assert "keypoint_confidence" in alarms[0]
    written = {path.name for path in paths.drift_report.iterdir()}
    assert written == {"report.json", "index.html", "metrics.prom", "to_label.csv"}
