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
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import ExportSection
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.models.reading import Door, InputTensor
from vigil.quantization import TWIN, make_int8
from vigil.schema import atomic, write_text
from vigil.session import OnnxSession

Feeds = Mapping[str, NDArray[np.float32]]
OPSET = 17  # with IR 8: every ONNX Runtime from 1.16 on loads it
IR_VERSION = 8
MODEL = "model.onnx"
OUTPUTS = ("probabilities", "logits")
_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
BATCHES = (1, 2, 3, 8)
TUNING = "tuning.json"  # beside a model: what `make tune-serving` chose, and why
_BATCHING = (
    "# On a CPU a graph network gains nothing from larger batches, and CLIP-GRU answers sooner "
    "than waiting\n# would pay, so requests never wait for company: only those already queued "
    "travel together.\ndynamic_batching { max_queue_delay_microseconds: 0 }"
)
_ROWS = """
# Of what travels together so many rows are run at once: the way is shared, and a core's caches hold
# few rows of a graph network. Only the embedded server's backend knows this.
parameters { key: "rows_per_run"  value: { string_value: "$rows" } }"""
_WHY = """\
# One instance per core, one thread each: two instances with default threads take twice the CPU."""
_TEMPLATES = Path(__file__).parent / "models" / "triton"


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


def write_configs(
    model: Path, spec: store.ModelSpec, params: ExportSection, door: Door | None = None
) -> None:
    """Write `labels.txt`, both Triton configurations, and the chosen one as `config.pbtxt`.

    Args:
        model: the model's folder in the repository.
        spec: shapes and labels.
        params: largest batch on a CPU and which configuration is served.
        door: what the graph takes, where that is something else than `spec.reads`.

    Raises:
        ModelError: `tuning.json` beside the model is damaged.
    """
    door = door or spec.reads
    labels = json.dumps(list(spec.classes), ensure_ascii=False)
    values = {
        "name": spec.name,
        "max_batch": params.max_batch,
        "inputs": _inputs(door.inputs),
        "facts": _facts({"labels": labels, **door.facts}),
        "zeros": _zeros(door.inputs),
        "classes": len(spec.classes),
        "instances": params.cpu_instances,
        "threads": 1,
        "batching": _BATCHING,
        "rows": 1 if door.inputs[0].name == "keypoints" else 0,
        "why": _WHY,
        **_tuned(model / TUNING),
    }
    values["rows"] = Template(_ROWS).substitute(values) if values["rows"] else ""
    write_text(model / "labels.txt", "".join(f"{name}\n" for name in spec.classes))
    for kind in ("cpu", "gpu"):
        text = (_TEMPLATES / f"{kind}.pbtxt").read_text(encoding="utf-8")
        text = Template(text).substitute(values)
        write_text(model / "configs" / f"{kind}.pbtxt", text)
        if kind == params.config:
            write_text(model / "config.pbtxt", text)


def _tuned(path: Path) -> dict[str, Any]:
    """Return what `make tune-serving` chose for a CPU; nothing where it was not run."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        chosen, cpu = found["chosen"], found["environment"]["cpu"]
        batch, delay_us = int(chosen["batch"]), int(chosen["delay_us"])
        values = {name: int(chosen[name]) for name in ("instances", "threads")}
        values["rows"] = int(chosen.get("rows", 0))
    except (ValueError, LookupError, TypeError) as error:
        raise ModelError(f"{path}: expected a choice of tune-serving, got {error!r}") from error
    note = f"# Chosen by `make tune-serving` on {cpu}; the evidence is in {TUNING}."
    batching = (
        f"dynamic_batching {{ preferred_batch_size: [ {batch} ]  "
        f"max_queue_delay_microseconds: {delay_us} }}"
    )
    return values | {
        "why": note,
        "batching": f"{note}\n{batching}" if batch > 1 else f"{note} Requests run as they come.",
    }


def _inputs(tensors: Sequence[InputTensor]) -> str:
    """Return the inputs as they stand in a pbtxt, each below its note."""
    return ",\n".join(
        "".join(f"  # {line}\n" for line in tensor.note.splitlines())
        + f'  {{ name: "{tensor.name}"  data_type: {_TYPES[tensor.dtype]}  dims: {_dims(tensor)} }}'
        for tensor in tensors
    )


def _zeros(tensors: Sequence[InputTensor]) -> str:
    """Return the inputs of a warm-up as they stand in a pbtxt."""
    return "\n".join(
        f'    inputs {{\n      key: "{tensor.name}"\n'
        f"      value: {{ data_type: {_TYPES[tensor.dtype]}  dims: {_dims(tensor)}  "
        "zero_data: true }\n    }"
        for tensor in tensors
    )


def _dims(tensor: InputTensor) -> str:
    return f"[ {', '.join(map(str, tensor.dims))} ]"


def _facts(values: Mapping[str, Any]) -> str:
    """Return parameters as they stand in a pbtxt."""
    return "\n".join(
        f'parameters {{ key: "{key}"  value: {{ string_value: "{_quoted(str(value))}" }} }}'
        for key, value in values.items()
    )


def _quoted(text: str) -> str:
    """Return a text as it stands inside a quoted pbtxt string."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
