"""What a served graph takes, and how clips become that: the vocabulary of all readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Row = Mapping[str, Any]


@dataclass(frozen=True)
class InputTensor:
    """One input of the served graph.

    Attributes:
        name: of the tensor.
        dims: sizes without the batch axis.
        note: what it holds, for people.
        dtype: of its values.
    """

    name: str
    dims: tuple[int, ...]
    note: str
    dtype: Literal["float32", "uint8"] = "float32"


@dataclass(frozen=True, eq=False)
class Batch:
    """What a graph is fed to judge clips.

    Attributes:
        feeds: arrays of n rows by input name.
        owner: (n,) the clip that each row is of.
    """

    feeds: dict[str, NDArray[np.float32]]
    owner: NDArray[np.intp]


class Door(Protocol):
    """What a served graph takes."""

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """The graph's inputs, in order."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a client must know beside the inputs' shapes."""


class Reading(Door, Protocol):
    """What a recognizer takes, and how clips become that."""

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Prepare annotations the way they are served; at least one row of arrays each.

        Raises:
            InputError: an annotation lacks what is read.
        """

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """Turn (n, classes) answers to a batch's rows into (count, classes) of its clips."""
