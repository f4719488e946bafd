"""The command that holds ProtoGCN against its plain form."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.stages.project import ROOT


def test_cuda_without_a_device_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stages.bench_protogcn", "--device", "cuda"],
        cwd=ROOT, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "bench_protogcn: --device cuda: expected a CUDA device, got none"
    ]
