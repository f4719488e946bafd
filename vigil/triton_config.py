"""How Triton is told to serve a recognizer: `labels.txt`, and a configuration for CPUs and GPUs.

The text comes from `vigil/models/triton/*.pbtxt`, shapes and facts from what the recognizer reads,
and what `make tune-serving` measured on this machine, where it was run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from vigil.config import ExportSection
from vigil.errors import ModelError
from vigil.models import store
from vigil.models.reading import Door, InputTensor
from vigil.schema import write_text

TUNING = "tuning.json"  # beside a model: what `make tune-serving` chose, and why
_BATCHING = (
    "# On a CPU a graph network gains nothing from larger batches, and CLIP-GRU answers sooner "
    "than waiting\n# would pay, so requests never wait for company: only those already queued "
    "travel together.\ndynamic_batching { max_queue_delay_microseconds: 0 }"
)
_ROWS = """
# What travels together shares the way, and is run so many rows at once: a graph network gains
# nothing by more when every core is busy. Only the embedded server's backend knows this.
parameters { key: "rows_per_run"  value: { string_value: "$rows" } }"""
_WHY = """\
# One instance per core, one thread each: two instances with default threads take twice the CPU."""
_TEMPLATES = Path(__file__).parent / "models" / "triton"
_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}


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
