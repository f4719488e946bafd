"""Votes made in a line."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from vigil.labels.votes import Kind, Vote

_IDS = count(1)


def vote(
    clip_id: str, annotator: str, label: str | None, kind: Kind = Kind.LABEL, **more: Any
) -> Vote:
    """Cast a vote after all votes before it."""
    number = next(_IDS)
    made = Vote(f"t{number}", clip_id, annotator, kind, label, vote_id=number,
                voted_at=f"2026-01-01T00:00:{number % 60:02d}+00:00")  # fmt: skip
    return replace(made, **more)


def undo(taken: Vote) -> Vote:
    return vote(taken.clip_id, taken.annotator, None, Kind.RETRACT, retracts=taken.vote_id)
