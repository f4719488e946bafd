"""One line of a request log: what is told of a request, and nothing that shows anybody."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vigil.feeds import Array
from vigil.watching.features import DIGITS, Features

_TEXT = 200  # characters of a name that a caller gives
Text = Annotated[str, Field(max_length=_TEXT)]
Probability = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Note:
    """What the caller knows of a request.

    Attributes:
        clips: clip id of each row, or empty.
        source: the camera or video; no person's name.
    """

    clips: Sequence[str] = ()
    source: str = ""


class Seen(BaseModel):
    """What is told of one row, or of one window by one recognizer.

    Attributes:
        by: the recognizer.
        top: the most probable class.
        confidence: its probability.
        p: all probabilities in label order.
        features: see `vigil.watching.features`.
        clip: clip id, or empty.
        start_s: first moment of a window on its source's clock.
        end_s: moment after its last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    by: Text
    top: Text
    confidence: Probability
    p: tuple[Probability, ...] = Field(max_length=1000)
    features: dict[Text, float] = Field(default={}, max_length=100)
    clip: Text = ""
    start_s: float | None = None
    end_s: float | None = None


class Record(BaseModel):
    """One request.

    Attributes:
        at: seconds since 1970 when its answer came.
        model: the served model.
        version: that answered, as the server says; empty where it did not.
        latency_ms: as the caller saw it.
        rows: its batch.
        outcome: `ok`, or the error's name.
        source: the camera or video, where the caller told.
        seen: its rows or windows; at most `request_log.rows`.
        dropped: lines that were lost before this one since the log was opened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    at: float
    model: Text
    version: Text
    latency_ms: float
    rows: int
    outcome: Text
    source: Text = ""
    seen: tuple[Seen, ...] = ()
    dropped: int = 0


def line(record: Mapping[str, Any]) -> str:
    """Return a record as one line of ASCII JSON, whatever its strings hold."""
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def seen(
    by: str,
    probabilities: NDArray[np.floating[Any]],
    features: Features,
    classes: Sequence[str],
    clips: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Tell of (n, C) answers and the inputs they are of.

    Args:
        by: the recognizer.
        probabilities: its answers; rows that are no probabilities are left out.
        features: (n,) by name.
        classes: names in label order; another number of them is not named.
        clips: n clip ids, or none.
    """
    names = classes if len(classes) == probabilities.shape[1] else None
    told = []
    for row, values in enumerate(probabilities.astype(np.float64).tolist()):
        if not all(-1e-3 <= value <= 1 + 1e-3 for value in values):
            continue
        p = [round(min(max(value, 0.0), 1.0), DIGITS) for value in values]
        best = p.index(max(p))
        one: dict[str, Any] = {
            "by": text(by), "top": text(names[best]) if names else str(best),
            "confidence": p[best], "p": p, "features": numbers(features, row),
        }  # fmt: skip
        if len(clips) == len(probabilities):
            one["clip"] = text(clips[row])
        told.append(one)
    return told


def numbers(features: Mapping[str, Array], row: int) -> dict[str, float]:
    """Return the features of a row; what it has none of is left out."""
    values = {name: float(found[row]) for name, found in features.items()}
    return {name: round(v, DIGITS) for name, v in values.items() if math.isfinite(v)}


def text(given: str) -> str:
    """Return as much of a name as a line holds, without halves of characters."""
    return str(given)[:_TEXT].encode("utf-8", "replace").decode()
