"""What the served model answers, as parallel arrays; the tensors' names are the fields' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vigil.schema import JOINTS

# Triton's type and dims of every output; R and C stand for recognizers and classes.
OUTPUTS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "clip_s": ("FP64", (-1, 2)),
    "clip_probabilities": ("FP32", (-1, "R", "C")),
    "person_clip": ("INT32", (-1,)),
    "person_track": ("INT32", (-1,)),
    "person_probabilities": ("FP32", (-1, "R", "C")),
    "frame": ("INT64", (-1,)),
    "time_s": ("FP64", (-1,)),
    "track": ("INT32", (-1,)),
    "box": ("FP32", (-1, 4)),
    "score": ("FP32", (-1,)),
    "skeleton": ("FP32", (-1, JOINTS, 3)),
}


@dataclass(frozen=True, eq=False)
class Behaviour:
    """What became certain with one request: W windows, P persons in them, N boxes.

    Attributes:
        clip_s: (W, 2) float64, first moment of each window and the one after its last, in seconds
            on the clock of the frames.
        clip_probabilities: (W, R, C) float32 of each window by each recognizer.
        person_clip: (P,) int32 position in `clip_s`.
        person_track: (P,) int32 track id, from 1 within a stream.
        person_probabilities: (P, R, C) float32 of that person alone, pairs with others included
            where embeddings are read; NaN where a recognizer has nothing to go by.
        frame: (N,) int64 index of the frame in its stream, from 0.
        time_s: (N,) float64 seconds on the clock of the frames.
        track: (N,) int32 track id.
        box: (N, 4) float32 xyxy in pixels of the frame.
        score: (N,) float32 of the detector, in [0, 1].
        skeleton: (N, 17, 3) float32 x and y in pixels, score in [0, 1]; zeros where missing.
    """

    clip_s: NDArray[np.float64]
    clip_probabilities: NDArray[np.float32]
    person_clip: NDArray[np.int32]
    person_track: NDArray[np.int32]
    person_probabilities: NDArray[np.float32]
    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    track: NDArray[np.int32]
    box: NDArray[np.float32]
    score: NDArray[np.float32]
    skeleton: NDArray[np.float32]

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the answer that tensors of these names hold."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})

    @property
    def tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def joined(parts: Sequence[Behaviour]) -> Behaviour:
    """Return consecutive answers of one stream, at least one, as one."""
    counts = np.cumsum([0, *(len(part.clip_s) for part in parts)])[:-1]
    moved = [
        replace(part, person_clip=(part.person_clip + count).astype(np.int32))
        for part, count in zip(parts, counts, strict=True)
    ]
    names = [field.name for field in fields(Behaviour)]
    return Behaviour(*(np.concatenate([getattr(p, name) for p in moved]) for name in names))
