"""A project of red people in an empty folder, and its commands run as people run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests import red_networks
from tests.conftest import ROOT
from tests.videos import HEIGHT, WIDTH
from vigil.config import Config, load
from vigil.paths import Paths


class Project:
    """Parameters, networks and a folder of videos."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.params = root / "params.yaml"
        self.videos.mkdir(parents=True)
        self.values: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
        self.values["workers"] = 2
        self.values["clips"] |= {"length_s": 4.0, "stride_s": 2.0, "min_length_s": 4.0}
        self.values["paths"]["videos"] = "videos"
        mask, skeletons = self.values["mask"], self.values["skeletons"]
        mask["detector"] |= {"name": "yolo11-seg", "input_size": [WIDTH, HEIGHT]}
        mask["segmenter"]["dilate_px"] = 0
        skeletons["input_size"] = [WIDTH, HEIGHT]
        self.save()
        red_networks.detector(self.paths.onnx("yolo11-seg"), masks=True)
        red_networks.rtmo(self.paths.onnx("rtmo"))

    def save(self) -> None:
        """Write the parameters after a change of `values`."""
        self.params.write_text(yaml.safe_dump(self.values, allow_unicode=True), "utf-8")

    @property
    def config(self) -> Config:
        return load(self.params)[0]

    @property
    def paths(self) -> Paths:
        return load(self.params)[1]

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    def command(self, stage: str) -> list[str]:
        return [sys.executable, "-m", f"stages.{stage}", "--params", str(self.params)]

    def run(self, stage: str) -> subprocess.CompletedProcess[str]:
        """Run a stage to its end."""
        return subprocess.run(
            self.command(stage), cwd=ROOT, env=self.environment, capture_output=True, text=True
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def rows(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return what the stage reported about each video."""
        report = json.loads((self.paths.stage_reports / f"{stage}.json").read_text("utf-8"))
        return {row["id"]: row for row in report["rows"]}
