"""What a candidate says of itself: the same in every file, as trained, and as callers know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vigil.errors import ModelError
from vigil.release.candidate import Candidate
from vigil.release.gate.check import Check
from vigil.serving.repository import (
    LABELS,
    check_model,
    parse_labels,
    read_config,
    read_labels,
    triton_type,
)
from vigil.session import OnnxSession

_TOPIC = "contract"


def contract(
    candidate: Candidate,
    served: Candidate | None,
    classes: Sequence[str],
    metadata: Mapping[str, str],
    facts: Mapping[str, Any],
) -> list[Check]:
    """Compare a candidate's files with each other, with its checkpoint and with the served model.

    Args:
        candidate: the candidate.
        served: the served model; None where there is none.
        classes: class names in the order that the data set and the checkpoint number them.
        metadata: what the checkpoint's ONNX metadata must say, see `vigil.export.metadata`.
        facts: what `config.pbtxt` must tell clients, see `vigil.models.reading.Door`.
    """
    try:
        config = check_model(candidate.folder)
        session = OnnxSession(candidate.files["model.onnx"], device="cpu")
        labels = read_labels(candidate.folder)
        told = session.metadata.get("labels")
        checks = [
            Check(_TOPIC, "files agree", True, "configuration, network and labels fit together"),
            _same("labels, as trained", list(classes), labels),
            _same("labels in the network", list(classes), parse_labels(told) if told else None),
            _metadata("network", metadata, session.metadata),
            _metadata(
                "config.pbtxt",
                {key: str(value) for key, value in facts.items()},
                {key: value.string_value for key, value in config.parameters.items()},
            ),
        ]
    except ModelError as error:
        return [Check(_TOPIC, "files agree", False, str(error))]
    if served is not None:
        checks += interface(served, config, labels)
    return checks


def plain(candidate: Candidate, served: Candidate | None) -> list[Check]:
    """Compare the files of a model without classes with each other and with the served model."""
    try:
        config = check_model(candidate.folder)
        notes = OnnxSession(candidate.files["model.onnx"], device="cpu").metadata
    except ModelError as error:
        return [Check(_TOPIC, "files agree", False, str(error))]
    told = {key: value.string_value for key, value in config.parameters.items() if key in notes}
    checks = [
        Check(_TOPIC, "files agree", True, "configuration and network fit together"),
        _metadata("config.pbtxt", {key: notes[key] for key in told}, told, "network"),
    ]
    return checks + (interface(served, config, ()) if served is not None else [])


def _metadata(
    where: str, wanted: Mapping[str, str], found: Mapping[str, str], source: str = "checkpoint"
) -> Check:
    differing = [
        f"{key}: expected {wanted[key]!r}, got {found.get(key)!r}"
        for key in sorted(wanted)
        if wanted[key] != found.get(key)
    ]
    detail = "; ".join(differing) or f"{len(wanted)} facts as the {source} has them"
    return Check(_TOPIC, f"facts in the {where}", not differing, detail)


def interface(served: Candidate, config: Any, labels: Sequence[str]) -> list[Check]:
    """Callers know the served model: names, types, shapes and label order must stay."""
    old = read_config(served.files["config.pbtxt"].parent)

    def tensors(found: Any) -> list[str]:
        return sorted(
            f"{tensor.name} {triton_type(tensor)} {list(tensor.dims)}"
            for tensor in (*found.input, *found.output)
        )

    labeled = [
        _same("labels, as served", read_labels(path.parent), list(labels))
        for path in [served.files.get(LABELS)]
        if path is not None
    ]
    return [
        _same("inputs and outputs, as served", tensors(old), tensors(config)),
        *labeled,
        Check(
            _TOPIC,
            "largest batch, as served",
            config.max_batch_size >= old.max_batch_size,
            f"{old.max_batch_size} served, {config.max_batch_size} in the candidate",
        ),
    ]


def _same(name: str, wanted: Any, found: Any) -> Check:
    same = wanted == found
    return Check(_TOPIC, name, same, f"{found}" if same else f"expected {wanted}, got {found}")
