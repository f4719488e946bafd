"""Late fusion: a logistic regression on what several recognizers say of clips.

The fused logit of a class is the weighted sum of the members' log-probabilities of it plus a bias.
With one weight per member, so few numbers are learned that a few dozen validation clips suffice;
the training clips, which the members know by heart, would teach the wrong ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from vigil.config import one_line
from vigil.errors import InputError, ModelError
from vigil.models import store
from vigil.models.reading import JointReading, SequenceReading, SkeletonReading
from vigil.models.store import ModelSpec
from vigil.schema import write_json

if TYPE_CHECKING:
    import torch

LEAST = 1e-6  # of a probability whose logarithm is taken; as in the graph


@dataclass(frozen=True)
class Fit:
    """What was learned.

    Attributes:
        members: names of the recognizers.
        weights: one per member, 0 or more.
        bias: one per class.
        n: validation clips it was learned from.
        loss: mean log loss on them.
        loss_equal: the same with equal weights and no bias.
    """

    members: tuple[str, ...]
    weights: tuple[float, ...]
    bias: tuple[float, ...]
    n: int
    loss: float
    loss_equal: float


@dataclass(frozen=True)
class Fused:
    """Where a fusion lies.

    Attributes:
        folder: of its fits, one JSON each.
        members: the members' folders, see `vigil.models.store`.
        fold: cross-validation fold, or None for the plain split.
    """

    folder: Path
    members: tuple[Path, ...]
    fold: int | None = None

    @property
    def file(self) -> Path:
        """Where what was learned is written."""
        return self.folder / ("fusion.json" if self.fold is None else f"fusion_{self.fold}.json")

    def at_fold(self, fold: int) -> Self:
        """Return the same of a cross-validation fold."""
        members = tuple(member / f"fold_{fold}" for member in self.members)
        return replace(self, members=members, fold=fold)

    def write(self, fit: Fit) -> None:
        """Write what was learned, atomically."""
        write_json(self.file, asdict(fit))

    def read(self) -> Fit:
        """Read what `write` wrote.

        Raises:
            ModelError: no such file.
        """
        try:
            return TypeAdapter(Fit).validate_json(self.file.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise ModelError(f"{self.file}: expected a fit: {one_line(error)}") from error
        except OSError as error:
            raise ModelError(f"{self.file}: expected a fitted fusion, got {error}") from error


def fit(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[np.int64], members: Sequence[str],
    penalty: float,
) -> Fit:  # fmt: skip
    """Learn a weight per member and a bias per class.

    Args:
        probabilities: (M, N, classes) of the members on validation clips.
        labels: (N,) true classes.
        members: their M names.
        penalty: of the squared distance of the weights from 1 / M, and of the bias from 0.

    Raises:
        InputError: no clip, or clips of one class only.
    """
    if len(set(labels.tolist())) < 2:
        raise InputError("fusion: expected validation clips of at least two classes, got fewer")
    from scipy.optimize import minimize

    logs = np.log(np.maximum(probabilities, LEAST)).astype(np.float64)
    count, classes = len(logs), logs.shape[2]
    start = np.concatenate([np.full(count, 1.0 / count), np.zeros(classes)])

    def objective(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.tensordot(x[:count], logs, 1) + x[count:]
        loss, error = _log_loss(logits, labels)
        gradient = np.concatenate([(logs * error).sum((1, 2)), error.sum(0)])
        away = x - start
        return loss + penalty * float(away @ away), gradient + 2 * penalty * away

    bounds = [(0.0, None)] * count + [(None, None)] * classes
    x = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    losses = [
        _log_loss(np.tensordot(y[:count], logs, 1) + y[count:], labels)[0] for y in (x, start)
    ]
    return Fit(
        tuple(members), tuple(x[:count].tolist()), tuple(x[count:].tolist()), len(labels), *losses
    )


def _log_loss(
    logits: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean log loss of (N, classes) logits, and its gradient with respect to them."""
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(labels))
    error = np.exp(logs)
    error[rows, labels] -= 1.0
    return float(-logs[rows, labels].mean()), error / len(labels)


def load(fused: Fused, name: str) -> tuple[torch.nn.Module, ModelSpec]:
    """Build what is evaluated and exported of a fusion.

    Args:
        fused: where it lies.
        name: what it is called.

    Returns:
        A module from what `spec.reads` names to (B, classes) probabilities and logits, in
        evaluation mode on the CPU, and its spec.

    Raises:
        ModelError: no fit, no trained member, or members that do not fit together.
    """
    from vigil.models.fusion import FusionGraph

    learned = fused.read()
    members, specs = zip(*(store.load(folder) for folder in fused.members), strict=True)
    names = tuple(spec.name for spec in specs)
    if names != learned.members:
        raise ModelError(f"{name}: expected a fit of {names}, got one of {learned.members}")
    reads = joint(name, [spec.reads for spec in specs])
    if len({spec.classes for spec in specs}) > 1:
        raise ModelError(f"{name}: expected members of the same classes, got others")
    graph = FusionGraph(
        [member.inference_graph() for member in members], [spec.reads for spec in specs],
        learned.weights, learned.bias,
    )  # fmt: skip
    told = {
        spec.name: {"weight": weight, **spec.params}
        for spec, weight in zip(specs, learned.weights, strict=True)
    }
    params = {"type": "fusion", "members": json.dumps(told), "bias": json.dumps(learned.bias)}
    return graph, ModelSpec(name, specs[0].classes, params, reads)


def joint(name: str, parts: Sequence[Any]) -> JointReading:
    """Return what a fusion reads, given what its members do.

    Raises:
        ModelError: not both kinds, or two members that read the same kind in different ways.
    """
    skeletons = {part for part in parts if isinstance(part, SkeletonReading)}
    sequences = {part for part in parts if isinstance(part, SequenceReading)}
    for kind in (skeletons, sequences):
        if len(kind) > 1:
            raise ModelError(f"{name}: expected members that read alike, got {len(kind)} ways")
    if skeletons and sequences:
        return JointReading(skeletons.pop(), sequences.pop())
    raise ModelError(
        f"{name}: expected a member that reads skeletons and one that reads embeddings; members "
        "that read alike are an ensemble"
    )
