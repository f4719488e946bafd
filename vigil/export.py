"""From a trained recognizer to a served one: ONNX with its preparation inside, proved equal.

The graph takes pixels and gives probabilities, only its batch axis is dynamic, and its metadata
says what a client must know. It is compared with torch before anything is published; a difference
is an error, not a remark.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import ExportSection
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.schema import JOINTS, atomic, write_text
from vigil.session import OnnxSession

OPSET = 17  # with IR 8: every ONNX Runtime from 1.16 on loads it
IR_VERSION = 8
INPUTS = ("keypoints", "image_size")
OUTPUTS = ("probabilities", "logits")
_BATCHES = (1, 2, 3, 8)
_TEMPLATES = Path(__file__).parent / "models" / "triton"


def export(
    folder: Path,
    repository: Path,
    keypoints: NDArray[np.float32],
    image_size: NDArray[np.float32],
    params: ExportSection,
) -> dict[str, Any]:
    """Publish the recognizer in `folder` as version 1 of a Triton model.

    Args:
        folder: a model's folder, see `vigil.models.store`.
        repository: Triton's model repository; `<name>/1/model.onnx`, `config.pbtxt`,
            `configs/*.pbtxt` and `labels.txt` are written.
        keypoints: (N, M, T, 17, 3) float32 real clips to compare torch and ONNX Runtime on.
        image_size: (N, 2) float32 their frames' width and height in pixels.
        params: largest batch, tolerance and which configuration is served.

    Returns:
        The parity report: largest difference per batch size, opset, file size.

    Raises:
        InputError: no clip to compare on.
        ModelError: no trained recognizer, or ONNX Runtime and torch differ by more than allowed.
    """
    recognizer, spec = store.load(folder)
    graph = recognizer.inference_graph()
    return publish(graph, spec, repository, keypoints, image_size, params)


def publish(
    graph: Any,
    spec: store.ModelSpec,
    repository: Path,
    keypoints: NDArray[np.float32],
    image_size: NDArray[np.float32],
    params: ExportSection,
) -> dict[str, Any]:
    """Publish a torch module, of one recognizer or of an ensemble, as version 1 of a Triton model.

    Args:
        graph: the torch module, see `write_onnx`.
        spec: its name, shapes and metadata.
        repository: see `export`, as the other arguments, the result and the errors.
        keypoints: see `export`.
        image_size: see `export`.
        params: see `export`.
    """
    target = repository / spec.name / "1" / "model.onnx"
    with atomic(target) as partial:
        write_onnx(graph, partial, spec)
        differences = parity(graph, partial, keypoints, image_size, params)
    write_configs(repository / spec.name, spec, params)
    return {
        "model": spec.name,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "bytes": target.stat().st_size,
        "tolerance": params.tolerance,
        "n_clips": len(keypoints),
        "max_difference": {str(batch): value for batch, value in differences.items()},
    }


def metadata(spec: store.ModelSpec) -> dict[str, str]:
    """Return what the graph says about itself: text as it is, everything else as JSON."""
    parts = {
        "name": spec.name,
        "labels": list(spec.classes),
        "clip_len": spec.clip_len,
        "max_persons": spec.max_persons,
        "sampling": spec.sampling,
        "input_layout": "coco",
        "input_units": "x and y in pixels of the original frame, score in [0, 1]",
        "outputs": "probabilities: softmax of logits",
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in (spec.params | parts).items()
    }


def write_onnx(graph: Any, path: Path, spec: store.ModelSpec) -> None:
    """Trace the torch module `graph` into an ONNX file with metadata.

    Args:
        graph: (B, M, T, 17, 3) and (B, 2) to (B, classes) twice.
        path: where to write.
        spec: shapes and metadata.

    Raises:
        ModelError: the exporter wrote another opset or IR than it was asked for.
    """
    import onnx
    import torch

    rng = torch.Generator().manual_seed(0)
    shape = (2, spec.max_persons, spec.clip_len, JOINTS, 3)
    example = (torch.rand(shape, generator=rng) * 100, torch.full((2, 2), 100.0))
    axes = {name: {0: "batch"} for name in (*INPUTS, *OUTPUTS)}
    with warnings.catch_warnings():
        # The legacy exporter is the one that writes IR 8; that torch prefers the other is known.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        torch.onnx.export(
            graph, example, str(path), opset_version=OPSET, input_names=list(INPUTS),
            output_names=list(OUTPUTS), dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(path))
    found = (model.ir_version, max(entry.version for entry in model.opset_import))
    if found != (IR_VERSION, OPSET):
        raise ModelError(f"{spec.name}: expected IR {IR_VERSION}, opset {OPSET}, got {found}")
    onnx.helper.set_model_props(model, metadata(spec))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def parity(
    graph: Any,
    path: Path,
    keypoints: NDArray[np.float32],
    image_size: NDArray[np.float32],
    params: ExportSection,
) -> dict[int, float]:
    """Compare torch with ONNX Runtime on real clips at batch 1, 2, 3, 8 and the largest.

    Args:
        graph: the torch module.
        path: its ONNX file.
        keypoints: see `export`; repeated where the batch is larger.
        image_size: see `export`.
        params: largest batch and tolerance.

    Returns:
        Largest absolute difference of any output, by batch size.

    Raises:
        InputError: no clip.
        ModelError: a difference above the tolerance, or a value that is not finite.
    """
    if not len(keypoints):
        raise InputError("export: expected at least one clip to compare on, got none")
    import torch

    session = OnnxSession(path, device="cpu")
    differences = {}
    sizes = sorted({size for size in _BATCHES if size < params.max_batch} | {params.max_batch})
    for size in sizes:
        worst = 0.0
        for start in range(0, max(len(keypoints) - size, 0) + 1, size):
            rows = np.arange(start, start + size) % len(keypoints)
            feeds = {"keypoints": keypoints[rows], "image_size": image_size[rows]}
            with torch.inference_mode():
                wanted = graph(*(torch.from_numpy(feeds[name]) for name in INPUTS))
            given = session.run(feeds)
            for name, tensor in zip(OUTPUTS, wanted, strict=True):
                gap = np.abs(given[name] - tensor.numpy()).max()
                worst = max(worst, float(gap) if np.isfinite(gap) else float("inf"))
        if worst > params.tolerance:
            raise ModelError(
                f"{path.parent.parent.name}: batch {size}: expected ONNX Runtime within "
                f"{params.tolerance:g} of torch, got {worst:.3g}"
            )
        differences[size] = worst
    return differences


def write_configs(model: Path, spec: store.ModelSpec, params: ExportSection) -> None:
    """Write `labels.txt`, both Triton configurations, and the chosen one as `config.pbtxt`.

    Args:
        model: the model's folder in the repository.
        spec: shapes and labels.
        params: largest batch on a CPU and which configuration is served.
    """
    values = {
        "name": spec.name,
        "max_batch": params.max_batch,
        "max_persons": spec.max_persons,
        "clip_len": spec.clip_len,
        "sampling": spec.sampling,
        "classes": len(spec.classes),
        "instances": params.cpu_instances,
        "labels": _quoted(spec.classes),
    }
    write_text(model / "labels.txt", "".join(f"{name}\n" for name in spec.classes))
    for kind in ("cpu", "gpu"):
        text = (_TEMPLATES / f"{kind}.pbtxt").read_text(encoding="utf-8")
        text = Template(text).substitute(values)
        write_text(model / "configs" / f"{kind}.pbtxt", text)
        if kind == params.config:
            write_text(model / "config.pbtxt", text)


def _quoted(classes: Sequence[str]) -> str:
    """Return a JSON list of names as it stands inside a quoted pbtxt string."""
    text = json.dumps(list(classes), ensure_ascii=False)
    return text.replace("\\", "\\\\").replace('"', '\\"')
