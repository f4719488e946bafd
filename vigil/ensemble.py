"""Several recognizers as one: the weighted mean of their probabilities, as one torch module.

The members read the same, so an ensemble has a recognizer's inputs and outputs, and is
evaluated, exported and served by the same code. ProtoGCN's streams are joined this way: joints and
bones 1:1; with their motions 2:2:1:1; with 2-hop bones j, b, k, jm, bm, km 2:2:2:1:1:1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vigil import fusion, models
from vigil.config import Config
from vigil.errors import ModelError
from vigil.fusion import Fused
from vigil.models import store
from vigil.models.reading import Reading, reading
from vigil.models.store import ModelSpec
from vigil.paths import Paths

if TYPE_CHECKING:
    import torch

Trained = Path | Mapping[Path, float] | Fused


def named(name: str, config: Config, paths: Paths) -> Trained:
    """Return where the fusion, ensemble or recognizer `name` of the parameters lies."""
    if name in config.fusions:
        return fused_of(name, config, paths)
    if name not in config.ensembles:
        return paths.model(name)
    weights = config.ensembles[name].members
    return {paths.model(member): weight for member, weight in weights.items()}


def fused_of(name: str, config: Config, paths: Paths) -> Fused:
    """Return where the fusion `name` of the parameters lies."""
    members = config.fusions[name].members
    return Fused(paths.reports / name, tuple(paths.model(member) for member in members))


def reads_of(name: str, config: Config) -> Reading:
    """Return what the fusion, ensemble or recognizer `name` of the parameters reads."""
    if name in config.fusions:
        members = config.fusions[name].members
        return fusion.joint(name, [reads_of(member, config) for member in members])
    if name in config.ensembles:
        name = next(iter(config.ensembles[name].members))
    return reading(models.section(config.models, name), config.dataset)


def load(trained: Trained, name: str = "ensemble") -> tuple[torch.nn.Module, ModelSpec]:
    """Build what is evaluated and exported of one recognizer or of an ensemble.

    Args:
        trained: a model's folder, see `vigil.models.store`; an ensemble's folders, each with its
            weight above 0; or where a fusion lies.
        name: what an ensemble or a fusion is called.

    Returns:
        A module from what `spec.reads` names to (B, classes) probabilities and logits, in
        evaluation mode on the CPU, and the spec.

    Raises:
        ModelError: a folder holds no trained recognizer, or the members' classes or inputs differ.
    """
    if isinstance(trained, Fused):
        return fusion.load(trained, name)
    if isinstance(trained, Path):
        recognizer, spec = store.load(trained)
        return recognizer.inference_graph(), spec
    from vigil.models.ensemble import EnsembleGraph

    members, specs = zip(*(store.load(folder) for folder in trained), strict=True)
    weights = [weight / sum(trained.values()) for weight in trained.values()]
    spec = join(name, list(zip(specs, weights, strict=True)))
    return EnsembleGraph([member.inference_graph() for member in members], weights), spec


def join(name: str, members: list[tuple[ModelSpec, float]]) -> ModelSpec:
    """Return the spec of an ensemble.

    Args:
        name: the ensemble's name.
        members: every member's spec and its weight, the weights summing to 1.

    Raises:
        ModelError: members that differ in classes or in what they read.
    """
    first = members[0][0]
    for spec, _ in members[1:]:
        ours, theirs = ({"classes": one.classes, **asdict(one.reads)} for one in (first, spec))
        for part in ours | theirs:
            if ours.get(part) != theirs.get(part):
                raise ModelError(
                    f"{name}: {spec.name}: expected {part} of {first.name}, {ours.get(part)}, "
                    f"got {theirs.get(part)}"
                )
    parts: dict[str, Any] = {
        spec.name: {"weight": weight, **spec.params} for spec, weight in members
    }
    params = {"type": "ensemble", "members": json.dumps(parts)}
    return ModelSpec(name, first.classes, params, first.reads)


def at_fold(trained: Trained, fold: int) -> Trained:
    """Return where the same recognizer or ensemble lies as trained for cross-validation `fold`."""
    if isinstance(trained, Fused):
        return trained.at_fold(fold)
    if isinstance(trained, Path):
        return trained / f"fold_{fold}"
    return {folder / f"fold_{fold}": weight for folder, weight in trained.items()}
