"""From a trained recognizer to a served one: ONNX with its preparation inside, proved equal.

The graph takes what its recognizer reads and gives probabilities, only its batch axis is dynamic,
and its metadata says what a client must know. It is compared with torch before anything is
published; a difference is an error, not a remark.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import ExportSection
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.quantization import TWIN, make_int8
from vigil.schema import atomic
from vigil.session import OnnxSession
from vigil.triton_config import write_configs

Feeds = Mapping[str, NDArray[np.float32]]
OPSET = 17  # with IR 8: every ONNX Runtime from 1.16 on loads it
IR_VERSION = 8
MODEL = "model.onnx"
OUTPUTS = ("probabilities", "logits")
BATCHES = (1, 2, 3, 8)


def export(
    folder: Path,
    repository: Path,
    rows: Sequence[Mapping[str, Any]],
    params: ExportSection,
    training: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Publish the recognizer in `folder` as version 1 of a Triton model.

    Args:
        folder: a model's folder, see `vigil.models.store`.
        repository: Triton's model repository; `<name>/1/model.onnx`, `config.pbtxt`,
            `configs/*.pbtxt` and `labels.txt` are written.
        rows: annotations of real clips to compare torch and ONNX Runtime on.
        params: largest batch, tolerance, precision, and which configuration is served.
        training: annotations of training clips, of which some calibrate int8.

    Returns:
        The parity report: largest difference per batch size, opset, file size; below fp32 also how
        the network was made smaller and how far its answers are from the fp32 one's.

    Raises:
        InputError: no clip to compare on, or none to calibrate with.
        ModelError: no trained recognizer, or ONNX Runtime and torch differ by more than allowed.
    """
    if not rows:
        raise InputError("export: expected at least one clip to compare on, got none")
    recognizer, spec = store.load(folder)
    feeds = spec.reads.batch(rows).feeds
    target, precision = repository / spec.name / "1" / MODEL, params.precision_of(spec.name)
    file = MODEL if precision == "fp32" else TWIN
    report = publish(recognizer.inference_graph(), spec, repository, feeds, params, file)
    if precision == "fp32":
        target.with_name(TWIN).unlink(missing_ok=True)
        return report
    return report | make_int8(target, spec.reads, params, feeds, training)


def publish(
    graph: Any,
    spec: store.ModelSpec,
    repository: Path,
    feeds: Feeds,
    params: ExportSection,
    file: str = MODEL,
) -> dict[str, Any]:
    """Publish a torch module, of one recognizer or of an ensemble, as version 1 of a Triton model.

    Args:
        graph: the torch module, see `write_onnx`.
        spec: its name, shapes and metadata.
        repository: see `export`, as the other arguments, the result and the errors.
        feeds: N real rows by input name, see `vigil.models.reading.Batch`.
        params: see `export`.
        file: name of the network's file.
    """
    target = repository / spec.name / "1" / file
    with atomic(target) as partial:
        write_onnx(graph, partial, spec)
        differences = parity(graph, partial, feeds, params, names(spec))
    write_configs(repository / spec.name, spec, params)
    return {
        "model": spec.name,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "bytes": target.stat().st_size,
        "tolerance": params.tolerance,
        "n_rows": rows_of(feeds),
        "max_difference": {str(batch): value for batch, value in differences.items()},
    }


def metadata(spec: store.ModelSpec) -> dict[str, str]:
    """Return what the graph says about itself: text as it is, everything else as JSON."""
    parts = {
        "name": spec.name,
        "labels": list(spec.classes),
        **spec.reads.facts,
        "temperature": spec.temperature,
        "outputs": "probabilities: softmax of logits",
    }
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in (spec.params | parts).items()
    }


def write_onnx(graph: Any, path: Path, spec: store.ModelSpec) -> None:
    """Trace the torch module `graph` into an ONNX file with metadata.

    Args:
        graph: from the inputs of `spec.reads`, (B, ...) each, to (B, classes) twice.
        path: where to write.
        spec: shapes and metadata.

    Raises:
        ModelError: the exporter wrote another opset or IR than it was asked for.
    """
    import onnx
    import torch

    rng = torch.Generator().manual_seed(0)
    example = tuple(
        torch.rand((2, *tensor.dims), generator=rng) * 100 for tensor in spec.reads.inputs
    )
    axes = {name: {0: "batch"} for name in (*names(spec), *OUTPUTS)}
    with warnings.catch_warnings():
        # The legacy exporter is the one that writes IR 8; that torch prefers the other is known.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        # torch's own GRU checks the width of its input in Python.
        warnings.filterwarnings("ignore", category=Warning, module=r"torch\.nn\.modules\.rnn")
        torch.onnx.export(
            graph, example, str(path), opset_version=OPSET, input_names=names(spec),
            output_names=list(OUTPUTS), dynamic_axes=axes, dynamo=False,
        )  # fmt: skip
    model = onnx.load(str(path))
    found = (model.ir_version, max(entry.version for entry in model.opset_import))
    if found != (IR_VERSION, OPSET):
        raise ModelError(f"{spec.name}: expected IR {IR_VERSION}, opset {OPSET}, got {found}")
    onnx.helper.set_model_props(model, metadata(spec))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def names(spec: store.ModelSpec) -> list[str]:
    """Return the names of the graph's inputs, in order."""
    return [tensor.name for tensor in spec.reads.inputs]


def rows_of(feeds: Feeds) -> int:
    """Return how many rows the arrays of `feeds` have."""
    return len(next(iter(feeds.values())))


def parity(
    graph: Any, path: Path, feeds: Feeds, params: ExportSection, inputs: Sequence[str]
) -> dict[int, float]:
    """Compare torch with ONNX Runtime on real clips at batch 1, 2, 3, 8 and the largest.

    Args:
        graph: the torch module.
        path: its ONNX file.
        feeds: see `publish`; repeated where the batch is larger.
        params: largest batch and tolerance.
        inputs: names of the module's positional inputs.

    Returns:
        Largest absolute difference of any output, by batch size.

    Raises:
        InputError: no clip.
        ModelError: a difference above the tolerance, or a value that is not finite.
    """
    count = rows_of(feeds)
    if not count:
        raise InputError("export: expected at least one clip to compare on, got none")
    import torch

    session = OnnxSession(path, device="cpu")
    differences = {}
    sizes = sorted({size for size in BATCHES if size < params.max_batch} | {params.max_batch})
    for size in sizes:
        worst = 0.0
        for start in range(0, max(count - size, 0) + 1, size):
            rows = np.arange(start, start + size) % count
            part = {name: feeds[name][rows] for name in inputs}
            with torch.inference_mode():
                wanted = graph(*(torch.from_numpy(part[name]) for name in inputs))
            given = session.run(part)
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
