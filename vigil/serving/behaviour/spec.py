"""What the served model must know: the stages' parameters, the networks, the recognizers.

It is one JSON file beside the model, so that a version of the model names everything that decides
over its answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import ValidationError

from vigil.config import (
    BehaviourLimits,
    ClipsSection,
    DetectorSection,
    EmbedSection,
    Section,
    SkeletonsSection,
    TrackerSection,
    one_line,
)
from vigil.errors import ModelError
from vigil.feeds import TensorSpec
from vigil.models.reading import SkeletonReading
from vigil.models.store import AnyReading
from vigil.schema import write_text
from vigil.session import Session

FILE = "behaviour.json"


class Tensor(Section):
    """A declared input or output of a network; see `vigil.feeds.TensorSpec`."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @classmethod
    def of(cls, spec: TensorSpec) -> Self:
        """Return the JSON form of `spec`."""
        return cls(name=spec.name, dtype=str(spec.dtype), shape=spec.shape)

    @property
    def spec(self) -> TensorSpec:
        """The tensor as sessions declare it."""
        return TensorSpec(self.name, np.dtype(self.dtype), self.shape)


class Network(Section):
    """A served network as its session declares it, batch axis included."""

    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    metadata: dict[str, str]
    max_batch: int

    @classmethod
    def of(cls, model: str, session: Session, max_batch: int) -> Self:
        """Describe the served model `model`, whose graph `session` runs.

        Args:
            model: its name on the server.
            session: the same graph in this process.
            max_batch: most rows of one request; 0 where the graph's axis 0 is no batch.
        """
        return cls(
            model=model,
            inputs=tuple(Tensor.of(spec) for spec in session.inputs),
            outputs=tuple(Tensor.of(spec) for spec in session.outputs),
            metadata=dict(session.metadata),
            max_batch=max_batch,
        )


class Recognizer(Section):
    """A served recognizer and how clips become what it reads."""

    network: Network
    reads: AnyReading


class BehaviourSpec(Section):
    """Everything that decides over what the model answers."""

    classes: tuple[str, ...]
    max_persons: int
    detector: DetectorSection
    tracker: TrackerSection
    skeletons: SkeletonsSection
    embed: EmbedSection
    clips: ClipsSection
    find: Network
    pose: Network
    clip: Network | None
    recognizers: tuple[Recognizer, ...]
    limits: BehaviourLimits

    @property
    def names(self) -> tuple[str, ...]:
        """The recognizers' names, in the order of the answers."""
        return tuple(one.network.model for one in self.recognizers)

    @property
    def embeds(self) -> bool:
        """Whether a recognizer reads embeddings."""
        return any(not isinstance(one.reads, SkeletonReading) for one in self.recognizers)


def write_spec(path: Path, spec: BehaviourSpec) -> None:
    """Write `spec` as JSON, atomically."""
    write_text(path, spec.model_dump_json(indent=1) + "\n")


def read_spec(path: Path) -> BehaviourSpec:
    """Read what `write_spec` wrote.

    Raises:
        ModelError: unreadable, or something is missing in it.
    """
    try:
        return BehaviourSpec.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: expected a description of the model, got none") from error
    except ValidationError as error:
        raise ModelError(f"{path}: {one_line(error)}") from error
