"""Puts the pretrained networks that the stages load where they load them from.

YOLO11, the pose network and CLIP's image encoder become ONNX in the model repository, CLIP's text
encoder ONNX beside SAM2, which is kept as a file of tensors without code. Sources are vigil's own
demo weights, the publishers' checkpoints, or ONNX files of yours.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from vigil.config import Config
from vigil.errors import InputError
from vigil.feeds import TRITON_TYPES
from vigil.paths import Paths
from vigil.perception.detector import BATCH
from vigil.perception.embedder import CLIP_IMAGE, clip_notes
from vigil.schema import atomic, write_text
from vigil.session import OnnxSession, TensorSpec
from vigil.weights import MIRROR_VARIABLE, Entry, entry, fetch

_TEMPLATES = Path(__file__).parent / "perception" / "triton"


@dataclass(frozen=True)
class Installed:
    """One network in place.

    Attributes:
        role: `detector`, `pose`, `segmenter` or `clip`.
        path: the file that the stages load.
        source: registry name or file it came from.
        license: license of the weights, where known.
    """

    role: str
    path: Path
    source: str
    license: str


def install(config: Config, paths: Paths, say: Callable[[str], None]) -> list[Installed]:
    """Put the detector, the pose network and (unless the detector segments) SAM2 in place.

    Args:
        config: all parameters; `weights` names the networks.
        paths: of the project.
        say: receives progress lines.

    Raises:
        InputError: an unknown name, or a named file that is not there.
        ModelError: a file cannot be had, verified, or exported.
    """
    detector = paths.onnx(config.mask.detector.name)
    pose = paths.onnx(config.skeletons.pose)
    done = []
    if config.weights.set == "files":
        for role, name, target in (
            ("detector", config.weights.detector, detector),
            ("pose", config.weights.pose, pose),
        ):
            source = _own_file(name)
            _copy(source, target)
            write_network_config(target.parent.parent, target, f"the {role}")
            done.append(Installed(role, target, source.name, "yours"))
        return done + _own_clip(config, paths)
    if config.skeletons.pose != "rtmo":
        raise InputError(
            f"weights: {config.skeletons.pose}: expected a file of yours (weights.set: files), "
            f"got the set {config.weights.set}, which has only rtmo"
        )
    kind = config.weights.set
    found = entry(kind, config.weights.detector)
    _export_yolo(
        found, fetch(found, paths.pretrained, say), detector, config.mask.detector.input_size
    )
    write_network_config(detector.parent.parent, detector, "the detector")
    done.append(Installed("detector", detector, found.name, found.license))
    found = entry(kind, config.weights.pose)
    _export_pose(found, fetch(found, paths.pretrained, say), pose, config.skeletons.input_size)
    write_network_config(pose.parent.parent, pose, "the pose network")
    done.append(Installed("pose", pose, found.name, found.license))
    if config.mask.detector.name == "yolo11":
        found = entry(kind, config.weights.segmenter)
        target = paths.segmenter
        _install_sam2(found, fetch(found, paths.pretrained, say), target)
        done.append(Installed("segmenter", target, found.name, found.license))
    return done + _clip(config, paths, say)


def _clip(config: Config, paths: Paths, say: Callable[[str], None]) -> list[Installed]:
    """Export both encoders of a CLIP of the registry, if one is named."""
    if not config.weights.clip:
        return []
    from vigil.perception import clip_network

    found = entry(config.weights.set, config.weights.clip)
    clip = clip_network.load(fetch(found, paths.pretrained, say), found.architecture)
    target = paths.onnx(CLIP_IMAGE)
    clip_network.export_image(clip, found.name, target, config.embed.crop_px)
    clip_network.export_text(clip, found.name, paths.clip_text)
    write_clip_config(target.parent.parent, target)
    return [Installed("clip", target, found.name, found.license)]


def _own_clip(config: Config, paths: Paths) -> list[Installed]:
    """Copy both encoders of a CLIP of the user's, if one is named."""
    if not config.weights.clip:
        return []
    image = _own_file(config.weights.clip)
    _copy(image, paths.onnx(CLIP_IMAGE))
    _copy(_own_file(str(image.with_name(f"{image.stem}_text.onnx"))), paths.clip_text)
    write_clip_config(paths.triton_repo / CLIP_IMAGE, paths.onnx(CLIP_IMAGE))
    return [Installed("clip", paths.onnx(CLIP_IMAGE), image.name, "yours")]


def write_clip_config(model: Path, onnx: Path) -> None:
    """Write how Triton serves the image encoder, with the sizes and names of its graph.

    Args:
        model: the model's folder; `config.pbtxt` is written.
        onnx: its graph.

    Raises:
        ModelError: the graph is no image encoder of vigil's.
    """
    session = OnnxSession(onnx, device="cpu")
    clip_notes(session)
    values = {
        "CROP_PX": str(session.inputs[0].shape[1]),
        **{key.upper(): session.metadata[key] for key in ("clip", "dim", "logit_scale")},
    }
    text = Template((_TEMPLATES / "clip_image.pbtxt").read_text("utf-8")).substitute(values)
    write_text(model / "config.pbtxt", text)


def write_network_config(model: Path, onnx: Path, what: str) -> None:
    """Write how Triton serves a network of frames, with the names and sizes of its graph.

    Args:
        model: the model's folder; `config.pbtxt` is written.
        onnx: its graph; a fixed batch axis stays a part of the declared sizes.
        what: the network, for people.

    Raises:
        ModelError: the graph is no valid one.
    """
    session = OnnxSession(onnx, device="cpu")
    batched = all(spec.shape[:1] == (None,) for spec in (*session.inputs, *session.outputs))
    delay = "dynamic_batching { max_queue_delay_microseconds: 0 }\n"
    values = {
        "what": what,
        "name": model.name,
        "max_batch": BATCH if batched else 0,
        "batching": f"\n# Several streams' frames travel together.\n{delay}" if batched else "",
        "inputs": _tensors(session.inputs, batched),
        "outputs": _tensors(session.outputs, batched),
    }
    text = Template((_TEMPLATES / "network.pbtxt").read_text("utf-8")).substitute(values)
    write_text(model / "config.pbtxt", text)


def _tensors(specs: tuple[TensorSpec, ...], batched: bool) -> str:
    """Return tensors as they stand in a pbtxt."""
    rows = []
    for spec in specs:
        dims = [-1 if size is None else size for size in spec.shape[1 if batched else 0 :]]
        shape = ", ".join(map(str, dims))
        kind = TRITON_TYPES[str(spec.dtype)]
        rows.append(f'  {{ name: "{spec.name}"  data_type: {kind}  dims: [ {shape} ] }}')
    return ",\n".join(rows)


def _own_file(name: str) -> Path:
    """Return a file by its path, or by its name in the mirror folder."""
    places = [Path(name), Path(os.environ.get(MIRROR_VARIABLE, ".")) / name]
    for place in places:
        if place.is_file():
            return place
    raise InputError(
        f"weights: {name}: expected an ONNX file at this path or in the folder that "
        f"{MIRROR_VARIABLE} names, got none"
    )


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as partial:
        shutil.copyfile(source, partial)


def _export_yolo(found: Entry, source: Path, target: Path, size: tuple[int, int]) -> None:
    from vigil.perception import yolo_network

    target.parent.mkdir(parents=True, exist_ok=True)
    model = yolo_network.load(source, found.architecture)
    yolo_network.export(model, target, height=size[1], width=size[0])


def _export_pose(found: Entry, source: Path, target: Path, size: tuple[int, int]) -> None:
    from vigil.perception.rtmo_network import export_rtmo

    target.parent.mkdir(parents=True, exist_ok=True)
    export_rtmo(found.architecture, source, target, size)


def _install_sam2(found: Entry, source: Path, target: Path) -> None:
    """Keep SAM2 as safetensors, so that later stages read tensors and nothing else."""
    if source.suffix == ".safetensors":
        _copy(source, target)
        return
    from vigil.perception.sam2 import load_sam2, save_sam2

    target.parent.mkdir(parents=True, exist_ok=True)
    save_sam2(load_sam2(source, found.architecture).state_dict(), target)
