"""From an fp32 network to a smaller one by ONNX Runtime's own quantizer: static int8.

The result is QDQ: weights per channel as signed bytes, activations as unsigned ones, whose
ranges are what training clips made of them. Parts of node names say what stays fp32. The file is
for every ONNX Runtime that loads the fp32 network, and says what it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import ExportSection, Int8Section
from vigil.errors import InputError, ModelError
from vigil.files import atomic
from vigil.models.reading import Reading
from vigil.session import OnnxSession

Feeds = Mapping[str, NDArray[np.float32]]
TWIN = "fp32.onnx"  # beside a network of lower precision: what it was made of
PRECISION, ORIGIN, CALIBRATION = "precision", "fp32_sha256", "calibration"  # keys of its metadata
_BATCH = 16
_RANGES = {"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}


def precision_of(metadata: Mapping[str, str]) -> str:
    """Return the precision that a network's metadata tells; a network that tells none is fp32."""
    return metadata.get(PRECISION, "fp32")


def drawn(count: int, params: Int8Section) -> NDArray[np.intp]:
    """Return which of `count` training clips calibrate, in order: as many as asked, or all."""
    order = np.random.default_rng(params.seed).permutation(count)
    return np.sort(order[: params.clips])


def make_int8(
    target: Path,
    reads: Reading,
    params: ExportSection,
    feeds: Feeds,
    training: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Write the network to be served from the fp32 one that lies beside it.

    Args:
        target: where to write; `TWIN` lies in the same folder.
        reads: how clips become the network's inputs.
        params: see `quantize`.
        feeds: real rows to compare the two on.
        training: annotations of training clips, of which some calibrate.

    Returns:
        What `quantize` tells, `bytes` of the file, and `to_fp32`: see `agreement`.

    Raises:
        InputError: no clip to calibrate with.
        ModelError: see `quantize`.
    """
    chosen = [training[i] for i in drawn(len(training), params.int8)]
    if not chosen:
        raise InputError(f"{target}: expected training clips to calibrate int8, got none")
    twin = target.with_name(TWIN)
    with atomic(target) as partial:
        told = quantize(twin, partial, params, reads.batch(chosen).feeds, len(chosen))
        gap = agreement(twin, partial, feeds)
    return told | {"bytes": target.stat().st_size, "to_fp32": gap}


def quantize(
    source: Path, target: Path, params: ExportSection, feeds: Feeds, clips: int
) -> dict[str, Any]:
    """Write the int8 network of an fp32 one.

    Args:
        source: the fp32 network.
        target: where to write; its metadata is that of `source` and what is returned.
        params: what stays fp32, and how ranges are found.
        feeds: rows of training clips by input name.
        clips: how many clips these rows are of.

    Returns:
        What the file says of its making: precision, hash of `source`, and the number of clips, of
        rows and the hash of the rows that calibrated.

    Raises:
        ModelError: nothing is left to quantize, or the tool wrote another opset.
    """
    told: dict[str, Any] = {
        PRECISION: "int8",
        ORIGIN: hashlib.sha256(source.read_bytes()).hexdigest(),
        CALIBRATION: {
            "clips": clips,
            "rows": len(next(iter(feeds.values()))),
            "sha256": _feeds_hash(feeds),
            **params.int8.model_dump(mode="json", exclude={"clips"}),
        },
    }
    _int8(source, target, params, feeds)
    _finish(source, target, told)
    return told


def agreement(first: Path, second: Path, feeds: Feeds) -> dict[str, float]:
    """Compare two networks of the same inputs on real rows, on the CPU.

    Returns:
        `agreement`: share of rows with the same class; `largest` and `mean`: differences of the
        probabilities.
    """
    answers = [
        _probabilities(OnnxSession(path, device="cpu"), feeds).astype(np.float64)
        for path in (first, second)
    ]
    gap = np.abs(answers[1] - answers[0])
    same = answers[0].argmax(1) == answers[1].argmax(1)
    return {
        "agreement": float(same.mean()), "largest": float(gap.max()), "mean": float(gap.mean())
    }  # fmt: skip


def _probabilities(session: OnnxSession, feeds: Feeds) -> NDArray[np.float32]:
    parts = [session.run(part)["probabilities"] for part in _batches(feeds)]
    return np.concatenate(parts)


def _batches(feeds: Feeds) -> Iterator[dict[str, NDArray[np.float32]]]:
    count = len(next(iter(feeds.values())))
    for start in range(0, count, _BATCH):
        yield {name: array[start : start + _BATCH] for name, array in feeds.items()}


def _feeds_hash(feeds: Feeds) -> str:
    digest = hashlib.sha256()
    for name in sorted(feeds):
        digest.update(f"{name} {feeds[name].shape} {feeds[name].dtype}\n".encode())
        digest.update(np.ascontiguousarray(feeds[name]).tobytes())
    return digest.hexdigest()


def _int8(source: Path, target: Path, params: ExportSection, feeds: Feeds) -> None:
    """Calibrate and quantize; activations unsigned, for which x86 has the fast instructions."""
    import onnx
    from onnxruntime import quantization as tool
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(prefix="vigil-int8-") as folder, _quiet():
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load(str(prepared)).graph
        tool.quantize_static(
            str(prepared),
            str(target),
            _Reader(feeds),
            quant_format=tool.QuantFormat.QDQ,
            op_types_to_quantize=list(params.int8.operators),
            per_channel=True,
            activation_type=tool.QuantType.QUInt8,
            weight_type=tool.QuantType.QInt8,
            nodes_to_exclude=[*_kept(graph, params.keep_fp32), *_of_activations(graph)],
            calibrate_method=getattr(tool.CalibrationMethod, _RANGES[params.int8.ranges]),
        )


class _Reader:
    """Calibration rows as ONNX Runtime asks for them, one batch after the other."""

    def __init__(self, feeds: Feeds) -> None:
        self._parts = _batches(feeds)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._parts, None)


def _kept(graph: Any, keep: Sequence[str]) -> list[str]:
    """Return the names of the nodes that stay fp32."""
    return [node.name for node in graph.node if any(part in node.name for part in keep)]


def _of_activations(graph: Any) -> list[str]:
    """Return the names of the matrix products without weights: attention and graph topologies."""
    weights = {tensor.name for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and not weights & set(node.input)
    ]


def _finish(source: Path, target: Path, told: Mapping[str, Any]) -> None:
    """Give the file the version of its source and its metadata, and check what became of it."""
    import onnx

    old, new = onnx.load(str(source)), onnx.load(str(target))
    used = {node.domain for node in new.graph.node}
    (opset,) = (entry for entry in old.opset_import if not entry.domain)
    versions = {entry.domain: entry.version for entry in new.opset_import}
    if used - {""} or versions[""] != opset.version:
        raise ModelError(
            f"{source}: expected ONNX operators of opset {opset.version}, got {versions}"
        )
    if "QuantizeLinear" not in {node.op_type for node in new.graph.node}:
        raise ModelError(f"{source}: expected something to quantize, got nothing")
    # The tool writes every domain it knows, of versions that are new; old runtimes refuse them.
    new.ir_version = old.ir_version
    del new.opset_import[:], new.metadata_props[:]
    new.opset_import.append(opset)
    props = {entry.key: entry.value for entry in old.metadata_props}
    words = {k: v if isinstance(v, str) else json.dumps(v) for k, v in told.items()}
    onnx.helper.set_model_props(new, props | words)
    onnx.checker.check_model(new, full_check=True)
    onnx.save(new, str(target))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the tools from writing advice into the root log."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
