"""The YOLO11 network itself: built from its description, loaded without unpickling, exported.

The only door to ultralytics outside demo training. What runs afterwards is the ONNX file, with
`vigil.perception.yolo` before and behind it.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vigil import compat
from vigil.errors import ModelError

if TYPE_CHECKING:
    import torch

OPSET = 17
IR_VERSION = 8
_NAMESPACE = "ultralytics.utils.IterableSimpleNamespace"


def configure() -> None:
    """Keep ultralytics from the network, from installing packages and from DVC.

    It reads its environment at import: call this before any other use of it. A folder chosen
    by the user through `YOLO_CONFIG_DIR` is respected.
    """
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:
        private = Path(tempfile.gettempdir()) / f"vigil-ultralytics-{os.getuid()}"
        private.mkdir(mode=0o700, exist_ok=True)
        os.environ["YOLO_CONFIG_DIR"] = str(private)
    compat.bridge_torchvision()
    from ultralytics import settings
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("WARNING")
    if settings["dvc"]:
        settings.update({"dvc": False})


def build(variant: str = "yolo11n", names: tuple[str, ...] = ("person",)) -> torch.nn.Module:
    """A YOLO11 with random weights.

    Args:
        variant: `yolo11{n,s,m,l,x}`, with `-seg` for instance masks.
        names: the classes, in the order of their indices.

    Returns:
        ultralytics' DetectionModel or SegmentationModel in evaluation mode.

    Raises:
        ModelError: no such variant.
    """
    if variant.removesuffix("-seg") not in {f"yolo11{letter}" for letter in "nsmlx"}:
        raise ModelError(f"yolo: variant: expected yolo11{{n,s,m,l,x}}[-seg], got {variant!r}")
    configure()
    from ultralytics.nn import tasks

    kind = tasks.SegmentationModel if variant.endswith("-seg") else tasks.DetectionModel
    model: Any = kind(f"{variant}.yaml", nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    network: torch.nn.Module = model.eval()
    return network


def load(path: Path, variant: str = "yolo11n") -> torch.nn.Module:
    """A YOLO11 with the weights of a file; no code in the file is run.

    Args:
        path: `.safetensors` state dict of ours (metadata `names`, comma-separated), or an
            official `.pt` of ultralytics.
        variant: as for `build`.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: the file is missing, of another kind, or does not fit the variant.
    """
    if not path.is_file():
        raise ModelError(f"yolo: {path}: expected a weights file, got none")
    if path.suffix == ".safetensors":
        from safetensors import safe_open
        from safetensors.torch import load_file

        with safe_open(path, framework="pt") as archive:
            metadata = archive.metadata() or {}
        state = load_file(path)
        names = tuple(metadata.get("names", "person").split(","))
    else:
        state, names = official_state(path)
    model = build(variant, names)
    try:
        model.load_state_dict({key: value.float() for key, value in state.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"yolo: {path}: expected weights of {variant}, got {reason}") from error
    return model


def save(model: torch.nn.Module, path: Path) -> None:
    """Write the state dict as float16 safetensors with the class names in its metadata.

    Args:
        model: a YOLO11 of `build`, unfused.
        path: ends in `.safetensors`; written under a temporary name and renamed.
    """
    from safetensors.torch import save_file

    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    partial = path.with_suffix(".partial")
    save_file(state, partial, {"names": ",".join(_names(model))})
    partial.chmod(0o644)
    partial.replace(path)


def export(model: torch.nn.Module, path: Path, height: int, width: int) -> None:
    """Write the network as ONNX: opset 17, IR 8, only the batch axis dynamic, no NMS inside.

    Input `images` (B, 3, height, width) float32 RGB in [0, 1]; output `output0` (B, 4 + classes
    [+ 32], anchors), and `output1` (B, 32, height / 4, width / 4) prototypes of a `-seg` network.

    Args:
        model: a YOLO11 of `build` or `load`; left as it was.
        path: the file, written under a temporary name and renamed.
        height: of the input in pixels, a multiple of 32.
        width: likewise.

    Raises:
        ModelError: a size that is no multiple of 32.
    """
    if height % 32 or width % 32:
        raise ModelError(f"yolo: input: expected multiples of 32, got {width}x{height}")
    import copy

    import onnx
    import torch

    network: Any = copy.deepcopy(model).eval()
    network = network.fuse(verbose=False)
    head = network.model[-1]
    head.export, head.format, head.dynamic = True, "onnx", False
    example = torch.zeros(2, 3, height, width)
    with torch.no_grad():
        outputs = network(example)
    names = ["output0", "output1"][: 2 if isinstance(outputs, tuple) else 1]
    partial = path.with_suffix(".partial")
    with warnings.catch_warnings():
        # The legacy exporter is the one that writes IR 8, and its tracer warns of fixed shapes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            partial,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=names,
            dynamic_axes={name: {0: "batch"} for name in ["images", *names]},
        )
    graph = onnx.load(partial)
    graph.ir_version = IR_VERSION
    onnx.helper.set_model_props(graph, {"names": ",".join(_names(model)), "licence": "AGPL-3.0"})
    onnx.checker.check_model(graph, full_check=True)
    onnx.save(graph, partial)
    partial.replace(path)


def official_state(path: Path) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """State dict and class names of an ultralytics `.pt`, which pickles the whole module.

    Read with `weights_only`: nothing but plain network parts of torch and ultralytics may appear.

    Args:
        path: an official file, or a checkpoint of ultralytics' trainer (its moving average).

    Returns:
        Named tensors (float16 in official files), and the classes in order.

    Raises:
        ModelError: anything else appears in the file.
    """
    configure()
    import torch

    named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    parts: dict[str, Any] = {name: _network_part(name) for name in named}
    foreign = sorted(name for name, part in parts.items() if part is None)
    if foreign:
        found = ", ".join(foreign)
        raise ModelError(f"yolo: {path}: expected only network parts inside, got {found}")
    with torch.serialization.safe_globals(list(parts.values())):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    network = checkpoint.get("ema") or checkpoint["model"]
    return network.state_dict(), _names(network)


def _network_part(name: str) -> Any | None:
    """The class of this full name if a network is made of such; else None."""
    import torch

    module, _, attribute = name.rpartition(".")
    if not module.startswith(("ultralytics.", "torch.nn.")):
        return None
    try:
        part = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError):  # of another ultralytics than ours
        return None
    module_class = isinstance(part, type) and issubclass(part, torch.nn.Module)
    return part if module_class or name == _NAMESPACE else None


def _names(model: Any) -> tuple[str, ...]:
    """The classes of ultralytics' model, in the order of their indices."""
    return tuple(model.names[i] for i in sorted(model.names))
