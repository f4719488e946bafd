"""The paper's throughput table beside ours, with its network at its published size.

Speed does not depend on what a network has learned: the weights are random.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vigil.benchmark.measure import OnWindow
from vigil.benchmark.protogcn import CLASSES, build
from vigil.benchmark.report import Report
from vigil.benchmark.requests import Feeds
from vigil.benchmark.run import OnRow, run
from vigil.benchmark.systems import torch_function
from vigil.config import BenchmarkSection, Config, ProtoGCNSection
from vigil.export import names, publish
from vigil.models import store

_ROWS = 16
_PERSONS = 2
_SYSTEMS = (
    "pytorch",
    "onnxruntime",
    "onnxruntime_batched",
    "triton_no_batching",
    "triton_dynamic_batching",
)


def benchmark_paper(
    config: Config,
    width: int,
    frames: int,
    on_row: OnRow = lambda row: None,
    on_window: OnWindow = lambda *_: None,
) -> Report:
    """Build, publish and measure ProtoGCN of a given size.

    Args:
        config: all parameters.
        width: first width of the network; published: 96.
        frames: of a clip; published: 100.
        on_row: called after each row with it.
        on_window: called before each window.

    Raises:
        ServerError: the server does not start.
    """
    published: dict[str, Any] = {
        "type": "protogcn", "layout": "coco_new", "stream": "j", "norm": "box", "min_score": 0.0,
        "dropout": 0.0, "base_channels": width, "stages": [4, 3, 3], "w_csc": 0.2,
        "n_prototypes": 400,
    }  # fmt: skip
    section = ProtoGCNSection.model_validate(published)
    dataset = config.dataset.model_copy(update={"clip_len": frames, "max_persons": _PERSONS})
    config = config.model_copy(update={"dataset": dataset})
    graph = build(section, config).inference_graph()
    spec = store.ModelSpec.of("protogcn", CLASSES, {"protogcn": section}, dataset)
    rows = _rows(frames)
    feeds = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    with tempfile.TemporaryDirectory(prefix="vigil-paper-") as folder:
        publish(graph, spec, Path(folder), feeds, config.export)
        return run(
            Path(folder) / spec.name,
            rows,
            torch_function(graph, names(spec)),
            _params(config.benchmark),
            config.serve.startup_timeout_s,
            on_row,
            on_window,
        )


def _params(params: BenchmarkSection) -> BenchmarkSection:
    """Return what the table needs: two protocols, callers up to a full batch."""
    callers = tuple(sorted({1, 4, params.max_batch}))
    changes = {
        "systems": _SYSTEMS, "protocols": ("grpc", "http_shm"), "concurrencies": callers,
        "max_windows": 3, "open_shares": (), "slo_p99_ms": 0.0,
    }  # fmt: skip
    return params.model_copy(update=changes)


def _rows(frames: int) -> list[Feeds]:
    rng = np.random.default_rng(0)
    return [
        {
            "keypoints": (rng.random((1, _PERSONS, frames, 17, 3)) * 300 + 1).astype(np.float32),
            "image_size": np.full((1, 2), 640.0, np.float32),
        }
        for _ in range(_ROWS)
    ]
