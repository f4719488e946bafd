"""The examples of docs/serving.md run as they are written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.serving.behaviour.test_stream import run
from vigil.serving.behaviour.stream import Pipeline
from vigil.serving.server import EmbeddedTriton


@pytest.mark.slow
def test_node_gets_the_answer_without_a_library(
    server: EmbeddedTriton, pipeline: Pipeline, footage: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:  # fmt: skip
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: apt-get install nodejs")
    frames = footage[0][:30]
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"{number:03d}.jpg"), frame[..., ::-1])
    files = [str(path) for path in sorted(tmp_path.glob("*.jpg"))]
    example = str(ROOT / "examples" / "behaviour.mjs")
    ran = subprocess.run(
        [node, example, f"http://{server.http_url}", "0.08333333", *files],
        capture_output=True, text=True, timeout=6000,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    wanted = run(pipeline, frames, np.arange(30) * 0.08333333, 30)
    assert len(lines) == 2 * len(wanted.clip_s) + 1
    for line, row in zip(lines, wanted.clip_probabilities.reshape(-1, 3), strict=False):
        said = [float(value) for value in re.findall(r"(?:normal|assault|faint) ([\d.]+)", line)]
        np.testing.assert_allclose(said, row, atol=0.1)
    refused = subprocess.run(
        [node, example, f"http://{server.http_url}", "0.1", example],
        capture_output=True, text=True, timeout=6000,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "expected a JPEG file" in refused.stderr


def test_curl_gets_named_classes(server: EmbeddedTriton, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    request = {
        "inputs": [
            {"name": "keypoints", "datatype": "FP32", "shape": [1, 2, 4, 17, 3],
             "data": [50.0] * 408},
            {"name": "image_size", "datatype": "FP32", "shape": [1, 2], "data": [512.0, 96.0]},
        ],
        "outputs": [{"name": "probabilities", "parameters": {"classification": 3}}],
    }  # fmt: skip
    body = tmp_path / "request.json"
    body.write_text(json.dumps(request))
    url = f"http://{server.http_url}/v2/models/protogcn/infer"
    ran = subprocess.run(
        [curl, "-s", "--json", f"@{body}", url], capture_output=True, text=True, timeout=600
    )
    (output,) = json.loads(ran.stdout)["outputs"]
    names = [text.split(":")[2] for text in output["data"]]
    assert sorted(names) == ["assault", "faint", "normal"]
