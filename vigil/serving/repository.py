"""Triton's model repository: read, check and vary what the server is given.

Layout (Triton's): `<repository>/<model>/config.pbtxt`, `labels.txt` (one class per line, in the
order of the network's outputs) and `<model>/<version>/model.onnx`. The configuration is Triton's
`ModelConfig` protobuf in text form; its dims leave the batch axis out where `max_batch_size` > 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vigil.errors import ModelError
from vigil.feeds import TRITON_TYPES
from vigil.session import OnnxSession, TensorSpec

LABELS = "labels.txt"
ModelConfig = Any  # tritonclient's generated protobuf class has no types


def read_config(model: Path) -> ModelConfig:
    """Parse the configuration of one model folder.

    Raises:
        ModelError: `config.pbtxt` is missing or no valid `ModelConfig`.
    """
    path = model / "config.pbtxt"
    try:
        return parse_config(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: expected a model configuration, got none") from error
    except ValueError as error:
        raise ModelError(f"{path}: expected a valid model configuration, got: {error}") from error


def parse_config(text: str) -> ModelConfig:
    """Parse a configuration in protobuf text form.

    Raises:
        ValueError: an unknown field or broken syntax, with line and column.
    """
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    try:
        return text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise ValueError(str(error)) from error


def render_config(config: ModelConfig) -> str:
    """Write a configuration in protobuf text form; `parse_config` reads the same back."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(config))


def versions(model: Path) -> list[Path]:
    """Return the numbered version folders of a model, oldest first."""
    found = [path for path in model.iterdir() if path.name.isdecimal() and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))


def servable(repository: Path) -> list[str]:
    """Return the names of the models that have a configuration and at least one version.

    A model without a configuration is not served.
    """
    folders = sorted(path.parent for path in repository.glob("*/config.pbtxt"))
    return [folder.name for folder in folders if versions(folder)]


def check_model(model: Path) -> ModelConfig:
    """Compare a model's configuration with every ONNX file and label list it serves.

    Args:
        model: folder of one model.

    Returns:
        The parsed configuration.

    Raises:
        ModelError: the first contradiction: another name or backend than the folder's and ours,
            no version, tensors whose name, type or dims differ, a batch axis that is not dynamic
            though Triton batches, or labels that do not fit.
    """
    config = read_config(model)
    if config.name not in {"", model.name}:
        raise ModelError(f"{model}: expected name {model.name!r}, got {config.name!r}")
    if config.backend == "python":
        return _check_scripted(model, config)
    if config.backend != "onnxruntime":
        raise ModelError(f"{model}: expected backend 'onnxruntime', got {config.backend!r}")
    found = versions(model)
    if not found:
        raise ModelError(f"{model}: expected a version folder such as 1/, got none")
    for version in found:
        session = OnnxSession(version / (config.default_model_filename or "model.onnx"))
        missing = {spec.name for spec in session.inputs} - {tensor.name for tensor in config.input}
        if missing:
            raise ModelError(f"{version}: inputs not configured: {sorted(missing)}")
        for tensors, specs in ((config.input, session.inputs), (config.output, session.outputs)):
            _check_tensors(version, tensors, specs, config.max_batch_size > 0)
        _check_labels(model, config, session)
    return config


def _check_scripted(model: Path, config: ModelConfig) -> ModelConfig:
    """Make sure that every version of a model of Triton's own Python backend has its entry."""
    for version in versions(model):
        if not (version / "model.py").is_file():
            raise ModelError(f"{version}: expected model.py, got none")
    return config


def read_labels(model: Path) -> list[str]:
    """Return the class names of a model folder's `labels.txt`, in output order.

    Raises:
        ModelError: the file is missing or empty.
    """
    path = model / LABELS
    labels = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not labels:
        raise ModelError(f"{path}: expected one class name per line, got none")
    return labels


def parse_labels(text: str) -> list[str]:
    """Read class names from metadata: a JSON list of strings, or names joined by commas.

    Raises:
        ModelError: neither.
    """
    if not text.lstrip().startswith("["):
        return [label.strip() for label in text.split(",") if label.strip()]
    try:
        labels = json.loads(text)
    except ValueError as error:
        raise ModelError(f"labels: expected a JSON list of names, got {text!r:.80}") from error
    return [str(label) for label in labels]


def stage_variant(
    model: Path, repository: Path, name: str, change: Callable[[ModelConfig], None]
) -> Path:
    """Lay out a variant of a model in another repository, leaving the original as it is.

    Args:
        model: folder of the original model.
        repository: folder of the other repository; made when missing.
        name: the variant's name; nothing of that name may be there yet.
        change: edits a copy of the configuration in place.

    Returns:
        The variant's folder: its own configuration, links to the original's versions and labels.
    """
    config = read_config(model)
    config.name = name
    change(config)
    variant = repository / name
    variant.mkdir(parents=True)
    (variant / "config.pbtxt").write_text(render_config(config), encoding="utf-8")
    for part in [*versions(model), model / LABELS]:
        if part.exists():
            (variant / part.name).symlink_to(part.resolve())
    return variant


def without_batching(config: ModelConfig) -> None:
    """Let Triton run every request by itself, as it comes."""
    config.ClearField("dynamic_batching")


def with_dynamic_batching(max_batch: int, max_queue_delay_us: int) -> Callable[[ModelConfig], None]:
    """Return a change that lets Triton join waiting requests.

    Args:
        max_batch: most rows in one execution.
        max_queue_delay_us: longest wait for a fuller batch, in microseconds.
    """

    def change(config: ModelConfig) -> None:
        config.max_batch_size = max_batch
        config.dynamic_batching.Clear()
        config.dynamic_batching.max_queue_delay_microseconds = max_queue_delay_us

    return change


def triton_type(tensor: Any) -> str:
    """Return the type of a configured tensor by its name, such as `TYPE_FP32`."""
    types = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type
    return str(types.values_by_number[tensor.data_type].name)


def _check_tensors(
    version: Path, tensors: Sequence[Any], specs: tuple[TensorSpec, ...], batched: bool
) -> None:
    known = {spec.name: spec for spec in specs}
    for tensor in tensors:
        spec = known.get(tensor.name)
        if spec is None:
            raise ModelError(f"{version}: {tensor.name}: expected one of {sorted(known)}")
        wanted = TRITON_TYPES[str(spec.dtype)]
        given = triton_type(tensor)
        if wanted != given:
            raise ModelError(f"{version}: {tensor.name}: expected {wanted}, got {given}")
        if batched and (not spec.shape or spec.shape[0] is not None):
            raise ModelError(
                f"{version}: expected a dynamic batch axis for max_batch_size > 0, got {spec}"
            )
        dims = [-1 if size is None else size for size in spec.shape[1 if batched else 0 :]]
        if dims != list(tensor.dims):
            raise ModelError(
                f"{version}: {tensor.name}: expected dims {dims}, got {list(tensor.dims)}"
            )


def _check_labels(model: Path, config: ModelConfig, session: OnnxSession) -> None:
    """Labels in the file, the configuration and the ONNX metadata must be the same list."""
    for tensor in config.output:
        if not tensor.label_filename:
            continue
        if tensor.label_filename != LABELS:
            raise ModelError(f"{model}: expected {LABELS}, got {tensor.label_filename!r}")
        labels = read_labels(model)
        if list(tensor.dims) != [len(labels)]:
            raise ModelError(
                f"{model}: {tensor.name}: expected {list(tensor.dims)} labels, got {len(labels)}"
            )
        sources = {"the ONNX metadata": session.metadata.get("labels")}
        if "labels" in config.parameters:
            sources["config.pbtxt"] = config.parameters["labels"].string_value
        for source, text in sources.items():
            if text is not None and parse_labels(text) != labels:
                raise ModelError(f"{model}: {LABELS} says {labels}, {source} says {text!r}")
