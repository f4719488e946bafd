"""One question of the gate and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vigil.session import Array

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Check:
    """One question of the gate.

    Attributes:
        topic: `contract`, `parity`, `quality` or `speed`.
        name: what was asked, in a few words.
        passed: whether the candidate may ship as far as this goes.
        detail: what was found, in one line.
    """

    topic: str
    name: str
    passed: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for the verdict."""
        return asdict(self)
