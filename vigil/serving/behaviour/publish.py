"""Put the model `behaviour` into the repository, described so that its networks must fit it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from string import Template

from vigil.config import BehaviourLimits, ClipsSection, Config
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.models.reading import SkeletonReading
from vigil.paths import Paths
from vigil.perception.detector import PersonDetector
from vigil.perception.embedder import CLIP_IMAGE, Embedder
from vigil.perception.pose import PoseEstimator
from vigil.schema import atomic, write_text
from vigil.serving.behaviour.result import OUTPUTS
from vigil.serving.behaviour.spec import (
    FILE,
    BehaviourSpec,
    Network,
    Recognizer,
    Tensor,
    write_spec,
)
from vigil.serving.repository import read_config
from vigil.session import OnnxSession

_SERVING = Path(__file__).parent.parent
_TEMPLATE = _SERVING / "triton" / "behaviour.pbtxt"
_ENTRY = _SERVING / "backends" / "behaviour" / "model.py"


def publish_behaviour(name: str, config: Config, paths: Paths) -> BehaviourSpec:
    """Write version 1 of the model `name` of `behaviours`, its configuration and its labels.

    Args:
        name: an entry of `behaviours`.
        config: all parameters.
        paths: of the project; the pretrained networks must be exported and the recognizers
            trained.

    Returns:
        What was written beside the model.

    Raises:
        InputError: no such entry, or parameters that cannot be served.
        ModelError: a network is missing or does not fit the parameters.
    """
    spec = describe(name, config, paths)
    _check(spec, paths)
    model = paths.triton_repo / name
    version = model / "1"
    write_spec(version / FILE, spec)
    with atomic(version / "model.py") as partial:
        shutil.copyfile(_ENTRY, partial)
    write_text(model / "labels.txt", "".join(f"{label}\n" for label in spec.classes))
    write_text(model / "config.pbtxt", _configuration(name, spec))
    return spec


def describe(name: str, config: Config, paths: Paths) -> BehaviourSpec:
    """Gather what the model `name` must know; see `publish_behaviour`."""
    if name not in config.behaviours:
        raise InputError(f"behaviour: expected one of {sorted(config.behaviours)}, got {name}")
    if config.skeletons.source != "raw":
        raise InputError(
            "behaviour: expected skeletons.source raw, got masked: masks are drawn by SAM2, "
            "which is not served; leave `behaviours` empty ({})"
        )
    section = config.behaviours[name]
    found = [store.read_spec(paths.model(one)) for one in section.recognizers or config.recognizers]
    classes = {spec.classes for spec in found}
    if classes != {config.classes}:
        raise ModelError(
            f"behaviour: expected recognizers of {list(config.classes)}, "
            f"got {sorted(map(list, classes))}"
        )
    embeds = any(not isinstance(spec.reads, SkeletonReading) for spec in found)
    return BehaviourSpec(
        classes=config.classes,
        max_persons=config.mask.max_persons,
        detector=config.mask.detector,
        tracker=config.mask.tracker,
        skeletons=config.skeletons,
        embed=config.embed,
        clips=ClipsSection(**config.clips.model_dump(exclude={"proxy"})),
        find=_network(config.mask.detector.name, paths),
        pose=_network(config.skeletons.pose, paths),
        clip=_network(CLIP_IMAGE, paths) if embeds else None,
        recognizers=tuple(
            Recognizer(network=_recognizer(spec, config.export.max_batch), reads=spec.reads)
            for spec in found
        ),
        limits=BehaviourLimits(**section.model_dump(exclude={"recognizers"})),
    )


def _network(model: str, paths: Paths) -> Network:
    """Describe a served network by its graph and its configuration."""
    served = read_config(paths.triton_repo / model)
    session = OnnxSession(paths.onnx(model), device="cpu")
    return Network.of(model, session, served.max_batch_size)


def _recognizer(spec: store.ModelSpec, max_batch: int) -> Network:
    """Describe a recognizer as it is exported, before it is."""
    inputs = tuple(
        Tensor(name=one.name, dtype=one.dtype, shape=(None, *one.dims)) for one in spec.reads.inputs
    )
    said = Tensor(name="probabilities", dtype="float32", shape=(None, len(spec.classes)))
    return Network(
        model=spec.name, inputs=inputs, outputs=(said,), metadata={}, max_batch=max_batch
    )


def _check(spec: BehaviourSpec, paths: Paths) -> None:
    """Raise ModelError where a pretrained network does not fit the parameters."""
    sessions = {
        one.model: OnnxSession(paths.onnx(one.model), device="cpu")
        for one in (spec.find, spec.pose, spec.clip)
        if one
    }
    PersonDetector(sessions[spec.find.model], spec.detector, spec.max_persons)
    PoseEstimator(sessions[spec.pose.model], spec.skeletons)
    if spec.clip:
        side = Embedder(sessions[spec.clip.model], spec.embed.batch).crop_px
        if side != spec.embed.crop_px:
            raise ModelError(f"embed.crop_px: expected {side}, got {spec.embed.crop_px}")


def _configuration(name: str, spec: BehaviourSpec) -> str:
    sizes = {"R": len(spec.recognizers), "C": len(spec.classes)}
    rows = []
    for output, (kind, dims) in OUTPUTS.items():
        shape = ", ".join(str(sizes[size] if isinstance(size, str) else size) for size in dims)
        rows.append(f'  {{ name: "{output}"  data_type: TYPE_{kind}  dims: [ {shape} ] }}')
    values = {
        "name": name,
        "outputs": ",\n".join(rows),
        "idle_us": round(spec.limits.idle_s * 1e6),
        "streams": spec.limits.streams,
        "labels": _quoted(spec.classes),
        "recognizers": _quoted(spec.names),
        "max_frames": spec.limits.max_frames,
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def _quoted(names: tuple[str, ...]) -> str:
    """Return a JSON list as it stands inside a quoted pbtxt string."""
    text = json.dumps(list(names), ensure_ascii=False)
    return text.replace("\\", "\\\\").replace('"', '\\"')
