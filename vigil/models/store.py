"""A trained recognizer on disk: weights without pickle, and what must be known to build it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from vigil import models
from vigil.config import DatasetSection, ModelSection, NetworkSection, one_line
from vigil.errors import ModelError
from vigil.models.reading import JointReading, SequenceReading, SkeletonReading, reading
from vigil.schema import atomic, write_json

if TYPE_CHECKING:
    import torch

    from vigil.models.clip_gru.recognizer import SequenceRecognizer
    from vigil.models.recognizer import SkeletonRecognizer

    Recognizer = SkeletonRecognizer | SequenceRecognizer

_TRAINING_ONLY = ("cls_head.reconstruction.", "cls_head.contrast.", "cls_head.loss_cls.")
_CLASSIFIER = "cls_head.fc."
AnyReading = Annotated[
    SkeletonReading | SequenceReading | JointReading, Field(discriminator="kind")
]
_MAY_DIFFER = (*_TRAINING_ONLY, _CLASSIFIER)


@dataclass(frozen=True)
class ModelSpec:
    """What must be known to build and feed a recognizer.

    Attributes:
        name: the recognizer's name in `params.yaml`.
        classes: class names in label order.
        params: its section of `params.yaml`.
        reads: what it reads of a clip.
        temperature: what its logits are divided by; see `vigil.models.calibrating`.
    """

    name: str
    classes: tuple[str, ...]
    params: dict[str, Any]
    reads: AnyReading
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    @classmethod
    def of(
        cls,
        name: str,
        classes: tuple[str, ...],
        sections: Mapping[str, NetworkSection],
        dataset: DatasetSection,
    ) -> ModelSpec:
        """Gather the spec of `name` from the parameters."""
        section = models.section(sections, name)
        return cls(name, classes, section.model_dump(mode="json"), reading(section, dataset))


def save(folder: Path, state: dict[str, Any], spec: ModelSpec) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, each atomically.

    Args:
        folder: the model's folder.
        state: state dict of the trained recognizer; the training-only branch is left out.
        spec: what the weights belong to.
    """
    from safetensors.torch import save_file

    kept = {name: value.contiguous() for name, value in served(state).items()}
    with atomic(folder / "model.safetensors") as partial:
        save_file(kept, partial, {"classes": json.dumps(list(spec.classes), ensure_ascii=False)})
    write_json(folder / "model.json", asdict(spec))


def served(state: dict[str, Any]) -> dict[str, Any]:
    """Return the weights of the served network, without the training-only branch."""
    return {k: v for k, v in state.items() if not k.startswith(_TRAINING_ONLY)}


def load(folder: Path) -> tuple[Recognizer, ModelSpec]:
    """Build the recognizer that `save` wrote, in evaluation mode on the CPU.

    Raises:
        ModelError: a missing or damaged file, or weights of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    spec = read_spec(folder)
    try:
        state = load_file(folder / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder}: expected a trained recognizer, got {error}") from error
    recognizer = build(spec)
    try:
        recognizer.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{folder}: expected weights of {spec.name}, got {reason}") from error
    return recognizer, spec


def read_spec(folder: Path) -> ModelSpec:
    """Read what `save` wrote beside the weights; needs no torch.

    Raises:
        ModelError: a missing or damaged file.
    """
    try:
        text = (folder / "model.json").read_text(encoding="utf-8")
        return TypeAdapter(ModelSpec).validate_json(text)
    except ValidationError as error:
        raise ModelError(f"{folder}: expected a trained recognizer: {one_line(error)}") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: expected a trained recognizer, got {error}") from error


def begin(recognizer: torch.nn.Module, path: Path, classes: Sequence[str] = ()) -> list[str]:
    """Load weights to begin a training with; a classifier of other classes stays as it is.

    Args:
        recognizer: a fresh recognizer; changed in place.
        path: a file that `save` wrote.
        classes: its class names; where the file names others, or the same in another order, the
            classifier is not taken.

    Returns:
        The names of the tensors that were not taken: the classifier's, and the training-only ones.

    Raises:
        ModelError: no such file, or weights of another network.
    """
    own, kept = recognizer.state_dict(), fitting(recognizer, path, classes)
    missing, unexpected = recognizer.load_state_dict(kept, strict=False)
    left = [k for k in own if k in missing]
    alien = [k for k in left if not k.startswith(_MAY_DIFFER)]
    alien += [k for k in unexpected if not k.startswith(_TRAINING_ONLY)]
    if alien:
        raise ModelError(
            f"init: {path}: expected weights of the same network, got {len(alien)} tensors "
            f"that do not fit, the first {alien[0]}"
        )
    return left


def fitting(
    recognizer: torch.nn.Module, path: Path, classes: Sequence[str] = ()
) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file that `begin` takes, and those it does not know.

    Raises:
        ModelError: no such file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"init: {path}: expected trained weights, got {error}") from error
    own = recognizer.state_dict()
    other = {k for k, v in state.items() if k in own and own[k].shape != v.shape}
    if classes and classes_of(path) not in (None, list(classes)):
        other |= {k for k in state if k.startswith(_CLASSIFIER)}
    return {k: v for k, v in state.items() if k not in other}


def classes_of(weights: Path) -> list[str] | None:
    """Return the classes that `save` wrote into a weights file; None where it names none."""
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        named = (file.metadata() or {}).get("classes")
    return None if named is None else list(json.loads(named))


def build(spec: ModelSpec) -> Recognizer:
    """Build an untrained recognizer as it is served, in evaluation mode."""
    params: NetworkSection = TypeAdapter(ModelSection).validate_python(spec.params)
    config = models.model_config(params, len(spec.classes))
    from mmaction.registry import MODELS
    from mmengine.registry import DefaultScope

    # Another package of the family may have made itself the default in this process.
    with DefaultScope.overwrite_default_scope("mmaction"):
        recognizer: Recognizer = MODELS.build(config)
    recognizer.temperature = spec.temperature
    recognizer.eval()
    return recognizer
