"""CLIP and a recognizer of embeddings as one graph: crops in, probabilities out, in one call.

Triton's ensembles cannot do this: between the two, a batch of sequences becomes a batch of crops,
and an ensemble's steps share one batch axis. So the two ONNX files are joined into a third.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import ExportSection
from vigil.errors import ModelError
from vigil.export import BATCHES, IR_VERSION, OPSET, OUTPUTS, metadata
from vigil.models.reading import InputTensor, SequenceReading
from vigil.models.store import ModelSpec
from vigil.schema import atomic
from vigil.session import OnnxSession, TensorSpec
from vigil.triton_config import write_configs

SUFFIX = "_crops"


@dataclass(frozen=True)
class CropDoor:
    """What the joined graph takes.

    Attributes:
        reads: what its recognizer reads.
        side: height and width S of a crop in pixels.
    """

    reads: SequenceReading
    side: int

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """See `vigil.models.reading.Door`."""
        length, span_s = self.reads.cut.length, self.reads.cut.span_s
        note = (
            "(moments, height, width, RGB): square crops around one track at "
            f"{length} evenly spaced\nmoments of {span_s:g} s, 0 to 255"
        )
        return (InputTensor("crops", (length, self.side, self.side, 3), note, "uint8"),)

    @property
    def facts(self) -> dict[str, Any]:
        """See `vigil.models.reading.Door`."""
        return self.reads.facts | {"side": self.side}


def publish_crops(
    spec: ModelSpec, repository: Path, image: Path, params: ExportSection
) -> dict[str, Any]:
    """Publish `<name>_crops` beside the recognizer `spec`, which must be exported already.

    Args:
        spec: the trained recognizer.
        repository: Triton's model repository.
        image: CLIP's image encoder as ONNX: (B, S, S, 3) uint8 RGB to (B, D).
        params: largest batch, tolerance and which configuration is served.

    Returns:
        The parity report: largest difference to the two graphs run one after the other.

    Raises:
        ModelError: no recognizer of embeddings, a missing file, graphs that do not fit, or a
            difference above the tolerance.
    """
    if not isinstance(spec.reads, SequenceReading):
        raise ModelError(f"{spec.name}: expected a recognizer of embeddings")
    encoder = OnnxSession(image, device="cpu")
    recognizer = repository / spec.name / "1" / "model.onnx"
    sequences = OnnxSession(recognizer, device="cpu")
    door = CropDoor(spec.reads, side_of(encoder, spec.reads.dim))
    joined = replace(spec, name=spec.name + SUFFIX)
    target = repository / joined.name / "1" / "model.onnx"
    with atomic(target) as partial:
        _write(partial, image, recognizer, joined, door)
        differences = _parity(OnnxSession(partial, device="cpu"), encoder, sequences, door, params)
    write_configs(repository / joined.name, joined, params, door)
    return {
        "model": joined.name,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "bytes": target.stat().st_size,
        "tolerance": params.tolerance,
        "max_difference": {str(batch): value for batch, value in differences.items()},
    }


def side_of(encoder: OnnxSession, dim: int) -> int:
    """Return the side of the crops that an image encoder takes.

    Raises:
        ModelError: it does not map (B, S, S, 3) uint8 to (B, dim).
    """
    given: TensorSpec = encoder.inputs[0]
    side = given.shape[1] if len(given.shape) == 4 else None
    fits = given.dtype == np.uint8 and side and given.shape == (None, side, side, 3)
    if not (side and fits) or encoder.outputs[0].shape != (None, dim):
        raise ModelError(
            f"{encoder.path}: expected (*, S, S, 3) uint8 to (*, {dim}), got {given} to "
            f"{encoder.outputs[0]}"
        )
    return side


def _write(path: Path, image: Path, recognizer: Path, spec: ModelSpec, door: CropDoor) -> None:
    """Join the two files with reshapes before and between, and write the result."""
    import onnx
    from onnx import compose, helper

    encoder, head = (onnx.load(str(source)) for source in (image, recognizer))
    encoder = compose.add_prefix(encoder, "clip/")
    head = compose.add_prefix(head, "recognizer/")
    (crops,), length = door.inputs, door.reads.cut.length
    pixels = [-1, *crops.dims[1:]]
    before = _reshape("crops", ["batch", *crops.dims], "flat", pixels, onnx.TensorProto.UINT8)
    between = _reshape(
        "vectors", ["crop", door.reads.dim], "embeddings", [-1, length, door.reads.dim],
        onnx.TensorProto.FLOAT,
    )  # fmt: skip
    joined = before
    for other, outer, inner in (
        (encoder, "flat", encoder.graph.input[0].name),
        (between, encoder.graph.output[0].name, "vectors"),
        (head, "embeddings", head.graph.input[0].name),
    ):
        joined = compose.merge_models(joined, other, [(outer, inner)])
    _rename_outputs(joined, {f"recognizer/{name}": name for name in OUTPUTS})
    joined.ir_version = IR_VERSION
    versions = {entry.domain: entry.version for entry in joined.opset_import}
    del joined.opset_import[:]
    joined.opset_import.extend(helper.make_opsetid(*entry) for entry in versions.items())
    del joined.metadata_props[:]
    helper.set_model_props(joined, metadata(spec) | {"side": str(door.side)})
    onnx.checker.check_model(joined, full_check=True)
    onnx.save(joined, str(path))


def _reshape(name: str, shape: list[Any], to: str, sizes: list[int], kind: int) -> Any:
    """Return a model of one Reshape from `name` of `shape` to `to` of `sizes`."""
    from onnx import helper, numpy_helper

    target = numpy_helper.from_array(np.array(sizes, np.int64), f"{to}_shape")
    outer = helper.make_tensor_value_info(name, kind, shape)
    inner = helper.make_tensor_value_info(to, kind, [f"{to}_rows", *sizes[1:]])
    node = helper.make_node("Reshape", [name, target.name], [to])
    graph = helper.make_graph([node], to, [outer], [inner], [target])
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)


def _rename_outputs(model: Any, names: dict[str, str]) -> None:
    """Give the graph's outputs other names, and keep no other output; in place."""
    kept = [output for output in model.graph.output if output.name in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    for output in model.graph.output:
        output.name = names[output.name]
        output.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]


def _parity(
    joined: OnnxSession, encoder: OnnxSession, recognizer: OnnxSession, door: CropDoor,
    params: ExportSection,
) -> dict[int, float]:  # fmt: skip
    """Return the largest difference to the graphs run one after the other, by batch size.

    Raises:
        ModelError: a difference above the tolerance, or a value that is not finite.
    """
    rng = np.random.default_rng(0)
    differences = {}
    for size in sorted(
        {batch for batch in BATCHES if batch < params.max_batch} | {params.max_batch}
    ):
        crops = rng.integers(0, 256, (size, *door.inputs[0].dims), np.uint8)
        given = joined.run({"crops": crops})
        wanted = recognizer.run({"embeddings": embed(encoder, crops)})
        gaps = [float(np.abs(given[name] - wanted[name]).max()) for name in OUTPUTS]
        worst = max(gap if np.isfinite(gap) else float("inf") for gap in gaps)
        if worst > params.tolerance:
            raise ModelError(
                f"{joined.path.parent.parent.name}: batch {size}: expected the answer of CLIP and "
                f"recognizer within {params.tolerance:g}, got a difference of {worst:.3g}"
            )
        differences[size] = worst
    return differences


def embed(encoder: OnnxSession, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run an image encoder on (B, L, S, S, 3) crops; return (B, L, D)."""
    flat = crops.reshape(-1, *crops.shape[2:])
    vectors = encoder.run({encoder.inputs[0].name: flat})[encoder.outputs[0].name]
    return np.asarray(vectors, np.float32).reshape(*crops.shape[:2], -1)
