"""From the embeddings of tracks to the sequences a recognizer reads; used offline and live alike.

A sequence is one track (a person, two people close together, or the whole frame) at evenly spaced
moments of a span in seconds. Knows: which moments are taken, what stands for a moment that has no
embedding, how the answers of a clip's sequences become the clip's. Does not know: CLIP, networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

Crop = Literal["person", "pair", "frame"]
Pool = Literal["max", "top", "mean"]
UNKNOWN = -1  # nobody said what this track shows
_NEAR = 1e-6  # seconds; rounding of a window's end


@dataclass(frozen=True, eq=False)
class Tokens:
    """The embeddings of a stretch of one video, in any order.

    Attributes:
        time_s: (n,) float64 seconds.
        track: (n, 2) int32: (a, -1) a person, (a, b) a pair, (-1, -1) the whole frame.
        embedding: (n, D) float16 or float32, rows of length 1.
        label: (n,) int16 class that the track shows at that moment, -1 where nobody said.
    """

    time_s: NDArray[np.float64]
    track: NDArray[np.int32]
    embedding: NDArray[np.floating[Any]]
    label: NDArray[np.int16]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return those of an annotation that has embeddings; see `vigil.tokens`."""
        return cls(row["token_time_s"], row["token_track"], row["embedding"], row["token_label"])

    def take(self, rows: NDArray[np.bool_]) -> Self:
        """Return the tokens at the (n,) mask `rows`."""
        return type(self)(
            self.time_s[rows], self.track[rows], self.embedding[rows], self.label[rows]
        )


@dataclass(frozen=True)
class Cut:
    """How sequences are cut.

    Attributes:
        length: embeddings L in a sequence.
        span_s: seconds they span.
        stride_s: seconds from one sequence of a clip to the next.
        crops: kinds of crops that make sequences.
        max_sequences: most sequences of one clip; the least present ones are left out.
        event_share: share of a sequence's moments from which on an event counts as shown.
    """

    length: int
    span_s: float
    stride_s: float
    crops: tuple[Crop, ...]
    max_sequences: int
    event_share: float


@dataclass(frozen=True, eq=False)
class Sequences:
    """S sequences.

    Attributes:
        embedding: (S, L, D) float32.
        track: (S, 2) int32, see `Tokens`.
        start_s: (S,) float64 first moment of the span.
        present: (S,) float32 share of the moments that have an embedding of their own.
        label: (S,) int16 class that the sequence shows, -1 where nobody said or it is not clear.
    """

    embedding: NDArray[np.float32]
    track: NDArray[np.int32]
    start_s: NDArray[np.float64]
    present: NDArray[np.float32]
    label: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.start_s)

    def take(self, rows: NDArray[np.intp]) -> Self:
        """Return the sequences at the positions `rows`, in that order."""
        return type(self)(
            self.embedding[rows], self.track[rows], self.start_s[rows], self.present[rows],
            self.label[rows],
        )  # fmt: skip


def kinds(track: NDArray[np.int32]) -> NDArray[np.str_]:
    """Return the kind of crop of each (n, 2) track, see `Tokens`."""
    single = np.where(track[:, 0] < 0, "frame", "person")
    return np.where(track[:, 1] >= 0, "pair", single)


def cut_window(
    tokens: Tokens, start_s: float, cut: Cut, normal: int, rng: np.random.Generator | None = None
) -> Sequences:
    """Cut one sequence of every track that is seen within one span.

    A moment without an embedding of its own takes the track's nearest in time: a track that is
    seen once gives the same embedding L times. Nothing from outside the span is taken.

    Args:
        tokens: of one video; those outside the span are not looked at.
        start_s: first moment of the span, in seconds.
        cut: length and span; `stride_s` and `max_sequences` play no part.
        normal: index of the class that is not an event.
        rng: draws each moment within its share of the span (training); without it the middles.

    Returns:
        Sequences of the kinds that `cut.crops` names; of the whole frame where there are none.
    """
    end_s = start_s + cut.span_s
    inside = tokens.take((tokens.time_s >= start_s) & (tokens.time_s < end_s - _NEAR))
    wanted = np.isin(kinds(inside.track), cut.crops)
    chosen = inside.take(wanted if wanted.any() else inside.track[:, 0] < 0)
    offset = 0.5 if rng is None else rng.random(cut.length)
    step_s = cut.span_s / cut.length
    moments = start_s + (np.arange(cut.length) + offset) * step_s
    tracks, of = np.unique(chosen.track, axis=0, return_inverse=True)
    found = [
        _sequence(chosen.take(of.reshape(-1) == index), moments, step_s, cut, normal)
        for index in range(len(tracks))
    ]
    shape = (len(tracks), cut.length, tokens.embedding.shape[1])
    return Sequences(
        np.array([vectors for vectors, _, _ in found], np.float32).reshape(shape),
        np.asarray(tracks, np.int32).reshape(-1, 2),
        np.full(len(tracks), start_s),
        np.array([present for _, present, _ in found], np.float32),
        np.array([label for _, _, label in found], np.int16),
    )


def _sequence(
    track: Tokens, moments: NDArray[np.float64], step_s: float, cut: Cut, normal: int
) -> tuple[NDArray[np.float32], float, int]:
    """Return one track's embeddings (L, D), the share of own ones, and the class it shows."""
    away = np.abs(track.time_s[None] - moments[:, None])
    nearest = away.argmin(1)
    present = float((away.min(1) <= step_s).mean())
    said = track.label[nearest]
    return track.embedding[nearest].astype(np.float32), present, _shown(said, normal, cut)


def _shown(said: NDArray[np.int16], normal: int, cut: Cut) -> int:
    """Return the class of a sequence from those of its moments; -1 where it is not clear."""
    if (said == UNKNOWN).any():
        return UNKNOWN
    events = said[said != normal]
    if not len(events):
        return normal
    values, counts = np.unique(events, return_counts=True)
    return int(values[counts.argmax()]) if len(events) >= cut.event_share * len(said) else UNKNOWN


def starts(start_s: float, end_s: float, cut: Cut) -> NDArray[np.float64]:
    """Return the first moments of a clip's spans, at least one.

    Args:
        start_s: the clip's first moment.
        end_s: moment after its last.
        cut: span and stride.
    """
    room_s = end_s - start_s - cut.span_s
    count = max(0, int(np.floor(room_s / cut.stride_s + _NEAR))) + 1
    return start_s + np.arange(count) * cut.stride_s


def cut_clip(
    tokens: Tokens,
    start_s: float,
    end_s: float,
    cut: Cut,
    normal: int,
    rng: np.random.Generator | None = None,
) -> Sequences:
    """Cut the sequences of one clip.

    Args:
        tokens: of the clip's video.
        start_s: the clip's first moment, in seconds.
        end_s: moment after its last.
        cut: see `Cut`.
        normal: index of the class that is not an event.
        rng: shifts spans and moments at random (training).

    Returns:
        At least one and at most `max_sequences` sequences. Where the clip shows nobody they are of
        the whole frame; where there is no embedding at all, one of zeros, present 0.
    """
    firsts = starts(start_s, end_s, cut)
    if rng is not None:
        shift_s = rng.uniform(-0.5, 0.5) * cut.stride_s
        last_s = max(start_s, end_s - cut.span_s)
        firsts = np.clip(firsts + shift_s, start_s, last_s)
    inside = tokens.take((tokens.time_s >= start_s) & (tokens.time_s < end_s))
    if np.isin(kinds(inside.track), cut.crops).any():
        inside = inside.take(np.isin(kinds(inside.track), cut.crops))
    found = join([cut_window(inside, float(first), cut, normal, rng) for first in firsts])
    if not len(found):
        zeros = np.zeros((1, cut.length, tokens.embedding.shape[1]), np.float32)
        nobody = np.full((1, 2), -1, np.int32)
        unknown = np.full(1, UNKNOWN, np.int16)
        return Sequences(zeros, nobody, np.array([start_s]), np.zeros(1, np.float32), unknown)
    kept = np.sort(np.argsort(-found.present, kind="stable")[: cut.max_sequences])
    return found.take(kept)


def join(parts: Sequence[Sequences]) -> Sequences:
    """Return the sequences of `parts`, at least one, as one table."""
    names = ("embedding", "track", "start_s", "present", "label")
    return Sequences(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def pool(
    probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int, how: Pool,
    top_k: int, normal: int,
) -> NDArray[np.float32]:  # fmt: skip
    """Turn what was said of sequences into what is said of their clips (or frames).

    Args:
        probabilities: (S, classes) of sequences.
        owner: (S,) the clip that each is of.
        count: clips, each with at least one sequence.
        how: `max`: what is said of the sequence that is least normal; `top`: the mean over the
            `top_k` least normal ones; `mean`: over all.
        top_k: of `top`.
        normal: index of the class that is not an event.

    Returns:
        (count, classes) float32.
    """
    most = {"max": 1, "top": top_k, "mean": len(owner)}[how]
    pooled = np.zeros((count, probabilities.shape[1]), np.float32)
    order = np.lexsort((probabilities[:, normal], owner))
    for clip, rows in zip(*_groups(owner[order], order), strict=True):
        pooled[clip] = probabilities[rows[:most]].mean(0)
    return pooled


def _groups(
    owner: NDArray[np.intp], order: NDArray[np.intp]
) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
    """Split `order` where the sorted `owner` changes; return whose the pieces are, and them."""
    clips, first = np.unique(owner, return_index=True)
    return clips, np.split(order, first[1:])
