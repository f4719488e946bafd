"""What a recognizer reads of a clip, and how its answers become the clip's.

Everything around a network (training, evaluation, export, serving, benchmark) asks its `Reading`
and does not know whether it looks at skeletons, at embeddings, or at both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vigil.config import AugmentSection, DatasetSection, RecognizerSection, SequenceSection
from vigil.errors import InputError
from vigil.models.doors import Batch, Door, InputTensor, Reading, Row
from vigil.models.skeleton_reading import SkeletonReading
from vigil.sequences import Cut, Pool, Sequences, Tokens, cut_clip, pool

__all__ = [
    "Batch",
    "Door",
    "InputTensor",
    "JointReading",
    "Reading",
    "Row",
    "SequenceReading",
    "SkeletonReading",
    "reading",
]


@dataclass(frozen=True)
class SequenceReading:
    """Embeddings of tracks: one row a sequence, several rows a clip.

    Attributes:
        dim: width D of the embeddings.
        cut: how sequences are cut.
        pool: how the sequences' answers become the clip's; see `vigil.sequences.pool`.
        top_k: of `pool`.
        normal: index of the class that is not an event.
        clip: the CLIP whose embeddings it was trained on; empty before training.
        kind: tells the readings apart on disk.
    """

    dim: int
    cut: Cut
    pool: Pool
    top_k: int
    normal: int
    clip: str = ""
    kind: Literal["sequences"] = "sequences"

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """See `Door`."""
        note = (
            f"(moments, embedding): one track at {self.cut.length} evenly spaced moments of "
            f"{self.cut.span_s:g} s;\nevery embedding has length 1"
        )
        return (InputTensor("embeddings", (self.cut.length, self.dim), note),)

    @property
    def facts(self) -> dict[str, Any]:
        """See `Door`."""
        return {
            "length": self.cut.length,
            "dim": self.dim,
            "span_s": f"{self.cut.span_s:g}",
            "stride_s": f"{self.cut.stride_s:g}",
            "crops": ",".join(self.cut.crops),
            **({"clip": self.clip} if self.clip else {}),
            "pool": self.pool,
            "top_k": self.top_k,
            "normal": self.normal,
        }

    def sequences(self, row: Row, rng: np.random.Generator | None = None) -> Sequences:
        """Cut one annotation's sequences; at random where `rng` is given.

        Raises:
            InputError: no embeddings, or those of another CLIP.
        """
        self.check(row)
        span = float(row["start_s"]), float(row["end_s"])
        return cut_clip(Tokens.of(row), *span, self.cut, self.normal, rng)

    def check(self, row: Row) -> None:
        """Compare an annotation's embeddings with what is read.

        Raises:
            InputError: no embeddings, or those of another CLIP.
        """
        name = row["frame_dir"]
        if "embedding" not in row:
            raise InputError(f"{name}: expected embeddings in the dataset, got none; run `embed`")
        dim, clip = row["embedding"].shape[1], row["clip"]
        if dim != self.dim or (self.clip and clip != self.clip):
            wanted = f"{self.clip or 'width'} {self.dim}"
            raise InputError(f"{name}: expected embeddings of {wanted}, got {clip} of width {dim}")

    def batch(self, rows: Sequence[Row]) -> Batch:
        """See `Reading`."""
        found = [self.sequences(row).embedding for row in rows]
        owner = np.repeat(np.arange(len(rows)), [len(part) for part in found])
        return Batch({"embeddings": np.concatenate(found)}, owner)

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """See `Reading`."""
        return pool(probabilities, owner, count, self.pool, self.top_k, self.normal)

    def pipeline(self, augment: AugmentSection | None) -> list[dict[str, Any]]:
        """Return mmaction2's pipeline config; with `augment` moments are drawn at random.

        What else varies a sequence in training lies in the encoder.
        """
        from vigil.models.clip_gru.pipeline import pipeline

        return pipeline(self, training=augment is not None)


@dataclass(frozen=True)
class JointReading:
    """Skeletons and embeddings of the same clip: a row holds all its sequences, padded with zeros.

    A clip has as many rows as its skeletons have views.

    Attributes:
        skeletons: how keypoints are read.
        sequences: how embeddings are read.
        kind: tells the readings apart on disk.
    """

    skeletons: SkeletonReading
    sequences: SequenceReading
    kind: Literal["joint"] = "joint"

    @property
    def inputs(self) -> tuple[InputTensor, ...]:
        """See `Door`."""
        (one,) = self.sequences.inputs
        dims = (self.sequences.cut.max_sequences, *one.dims)
        note = f"{one.note};\nall sequences of the clip, zeros behind the last"
        return (*self.skeletons.inputs, InputTensor(one.name, dims, note))

    @property
    def facts(self) -> dict[str, Any]:
        """See `Door`."""
        return self.skeletons.facts | self.sequences.facts

    def batch(self, rows: Sequence[Row]) -> Batch:
        """See `Reading`."""
        skeletons, sequences = self.skeletons.batch(rows), self.sequences.batch(rows)
        (found,) = sequences.feeds.values()
        owner = sequences.owner
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        padded = np.zeros((len(rows), *self.inputs[-1].dims), np.float32)
        padded[owner, place] = found
        embeddings = padded[skeletons.owner]
        return Batch(skeletons.feeds | {"embeddings": embeddings}, skeletons.owner)

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """See `Reading`."""
        return self.skeletons.settle(probabilities, owner, count)


def reading(params: Any, dataset: DatasetSection) -> SkeletonReading | SequenceReading:
    """Return what the recognizer of a section reads.

    Args:
        params: the model's section.
        dataset: frames, persons and sampling of skeletons.

    Raises:
        InputError: a section of neither kind.
    """
    if isinstance(params, RecognizerSection):
        return SkeletonReading(
            dataset.clip_len, dataset.max_persons, dataset.sampling,
            params.test_clips, params.test_mirror,
        )  # fmt: skip
    if isinstance(params, SequenceSection):
        cut = Cut(
            params.length, params.span_s, params.stride_s, params.crops, params.max_sequences,
            params.event_share,
        )  # fmt: skip
        return SequenceReading(params.dim, cut, params.pool, params.top_k, params.normal)
    raise InputError(f"{params.type}: expected a recognizer of skeletons or of embeddings")
