"""Candidates for the gate: one that is right, and ones with a fault planted in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from tests import networks
from tests.skeletons import annotation
from vigil.config import EvaluateSection, GateSection
from vigil.models.reading import SkeletonReading
from vigil.release.candidate import Candidate
from vigil.release.gate.judging import Case, Served, Trained
from vigil.release.gate.quality import TestSplit
from vigil.release.live import LiveModel
from vigil.release.publish import publish
from vigil.serving.control import Control

CLASSES = ("normal", "assault", "faint")
READS = SkeletonReading(clip_len=4, max_persons=2, sampling="stretch")
GATE = GateSection(
    tolerance=1e-4, tolerance_reduced=0.02, max_shift=0.05, rows=24,
    margins={"accuracy": 0.05, "macro_f1": 0.05}, margin_precision=0.03, clips=0,
    ground_truth="", frames=0,
    concurrency=2, rounds=5, seconds=0.15, warmup_s=0.05, max_slowdown=5.0,
)  # fmt: skip
EVALUATE = EvaluateSection(bootstrap=200, calibration_bins=5, mistakes=0, seed=0)
SCALE = 10.0

Change = Callable[[onnx.GraphProto], None]


def model(repository: Path, name: str = "tiny", labels: Sequence[str] = CLASSES) -> Path:
    """Write a whole model folder that says everything a client must know."""
    facts = "\n".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        for key, value in READS.facts.items()
    )
    folder = networks.recognizer_model(repository, name, facts)
    if labels != CLASSES:
        relabel(folder, labels)
    return folder


def relabel(folder: Path, labels: Sequence[str]) -> None:
    """Name the outputs otherwise, the same in all three places."""
    networks.recognizer(folder / "1" / "model.onnx", labels)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    path = folder / "config.pbtxt"
    old, new = (json.dumps(list(names)).replace('"', '\\"') for names in (CLASSES, labels))
    path.write_text(path.read_text().replace(old, new))


def plant(folder: Path, change: Change) -> None:
    """Change the network's graph."""
    path = folder / "1" / "model.onnx"
    network = onnx.load(str(path))
    change(network.graph)
    onnx.checker.check_model(network)
    onnx.save(network, str(path))


def _after_place(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], out: str) -> None:
    """Put `nodes`, which turn `place` into `out`, before the last matrix product."""
    at = next(i for i, node in enumerate(graph.node) if node.op_type == "MatMul")
    graph.node[at].input[0] = out
    for offset, node in enumerate(nodes):
        graph.node.insert(at + offset, node)


def first_row_for_all(graph: onnx.GraphProto) -> None:
    """Answer every row of a batch as if it were the first: right at batch 1, wrong above."""
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value]), name)
        for name, value in (("zero", 0), ("one", 1))
    )
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    nodes = [
        helper.make_node("Slice", ["place", "zero", "one", "zero"], ["first"]),
        helper.make_node("Mul", ["place", "nothing"], ["zeros"]),
        helper.make_node("Add", ["first", "zeros"], ["same"]),
    ]
    _after_place(graph, nodes, "same")


def spread_nan(graph: onnx.GraphProto) -> None:
    """Add zero times the batch's largest value: harmless until a row is NaN."""
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    nodes = [
        helper.make_node("ReduceSum", ["place", "starts"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "nothing"], ["zeros"]),
        helper.make_node("Add", ["place", "zeros"], ["joined"]),
    ]
    _after_place(graph, nodes, "joined")


def slow(graph: onnx.GraphProto) -> None:
    """Multiply large matrices for nothing: many times what all else of a request takes."""
    width = 768
    graph.initializer.append(numpy_helper.from_array(np.zeros((width, width), np.float32), "work"))
    nodes = [
        helper.make_node("Shape", ["place"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["floats"], to=networks.FLOAT),
        helper.make_node("ReduceSum", ["floats"], ["number"], keepdims=0),
        helper.make_node("Add", ["work", "number"], ["much0"]),
        *(helper.make_node("MatMul", [f"much{i}", "work"], [f"much{i + 1}"]) for i in range(3)),
        helper.make_node("ReduceMean", ["much3"], ["nought"], keepdims=0),
        helper.make_node("Add", ["place", "nought"], ["later"]),
    ]
    _after_place(graph, nodes, "later")


def torch_twin(scale: float = SCALE) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return `networks.recognizer` as PyTorch computes it."""
    matrix = np.random.default_rng(1).standard_normal((2, len(CLASSES)), np.float32)
    weight = torch.from_numpy(matrix * np.float32(scale))

    def run(feeds: Mapping[str, Any]) -> dict[str, Any]:
        keypoints, size = (torch.from_numpy(feeds[name]) for name in ("keypoints", "image_size"))
        logits = keypoints[..., :2].mean((1, 2, 3)) / size @ weight
        return {"probabilities": logits.softmax(-1).numpy(), "logits": logits.numpy()}

    return run


def split(count: int = 60, wrong: float = 0.1) -> TestSplit:
    """Return clips whose labels are mostly what the right network says."""
    rng = np.random.default_rng(0)
    rows = [annotation(i, 0) for i in range(count)]
    for row in rows:
        row["keypoint"] = row["keypoint"] * rng.uniform(0.1, 3.0, 2).astype(np.float32)
    said = torch_twin()(READS.batch(rows).feeds)["probabilities"].argmax(1)
    for row, label in zip(rows, said, strict=True):
        row["label"] = int(rng.integers(3)) if rng.random() < wrong else int(label)
    return TestSplit(rows, READS, CLASSES, "normal")


def case(candidate: Path, served: Served | None = None, scale: float = SCALE) -> Case:
    """Put a candidate before the gate."""
    trained = Trained(torch_twin(scale), {"labels": json.dumps(list(CLASSES))})
    return Case(Candidate.at(candidate), served, trained, split(), GATE, EVALUATE)


def verdict(live: LiveModel, candidate: Candidate) -> dict[str, Any]:
    """Return what the gate would say of a candidate that passed."""
    served = {"version": live.current} if live.current else None
    return {
        "model": live.name, "ship": True, "why": [], "served": served, "metrics": {},
        "candidate": {"sha256": candidate.sha256}, "test": {"sha256": split().sha256},
    }  # fmt: skip


def release(
    live: LiveModel, folder: Path, servers: Sequence[Control] = (), keep: int = 5, **options: Any
) -> int:
    """Publish a model folder as one that passed the gate."""
    candidate = Candidate.at(folder)
    told = {"sha256": candidate.sha256, "traced": False}
    said = verdict(live, candidate)
    return publish(live, candidate, said, told, servers, keep, **options)
