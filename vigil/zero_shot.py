"""CLIP asked in words: no training, no labels.

A class is the mean of its prompts' vectors; what a crop shows is the softmax of its similarity to
every class, at CLIP's own scale. Frames, persons and pairs of people are asked alike, and a frame
is as abnormal as its most abnormal person (1 - p(normal), the paper's way).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.config import View
from vigil.errors import InputError, ModelError
from vigil.frames import Moments, most_eventful
from vigil.schema import NOBODY, Clip, Embeddings

Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """Classes in words, as vectors.

    Attributes:
        vectors: (C, D) float32 of length 1, in label order.
        scale: what CLIP multiplies similarities with.
        normal: index of the class that is not an event.
        clip: which CLIP made the vectors.
    """

    vectors: NDArray[np.float32]
    scale: float
    normal: int
    clip: str

    def judge(self, embeddings: Embeddings) -> NDArray[np.float32]:
        """Return (N, C) class probabilities of every row.

        Raises:
            ModelError: the rows were made by another CLIP.
        """
        if (embeddings.clip, embeddings.dim) != (self.clip, self.vectors.shape[1]):
            raise ModelError(
                f"zero_shot: {embeddings.video_id}: expected embeddings of {self.clip} with "
                f"{self.vectors.shape[1]} values, got {embeddings.clip} with {embeddings.dim}"
            )
        similar = embeddings.embedding.astype(np.float32) @ self.vectors.T
        powers = np.exp(self.scale * (similar - similar.max(axis=1, keepdims=True)))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def ask(
    prompts: Mapping[str, Sequence[str]], encode: Encode, scale: float, normal: str, clip: str
) -> ZeroShot:
    """Turn sentences per class into one vector per class: averaged and of length 1 again.

    Args:
        prompts: at least one sentence of every class, in label order.
        encode: N sentences to (N, D) vectors.
        scale: CLIP's logit scale, above 0.
        normal: the class that is not an event.
        clip: which CLIP encodes.

    Raises:
        ModelError: a scale that is none, or vectors without a direction.
    """
    if not 0 < scale < float("inf"):
        raise ModelError(f"zero_shot: {clip}: expected a logit scale above 0, got {scale}")
    rows = [_unit(np.asarray(encode(list(sentences)), np.float32), clip).mean(axis=0)
            for sentences in prompts.values()]  # fmt: skip
    return ZeroShot(_unit(np.stack(rows), clip), float(scale), list(prompts).index(normal), clip)


def _unit(vectors: NDArray[np.float32], clip: str) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ModelError(f"zero_shot: {clip}: expected vectors of finite length, got {lengths[0]}")
    return np.asarray(vectors / lengths, np.float32)


def looks(embeddings: Embeddings, view: View) -> NDArray[np.bool_]:
    """Return which of the N rows a view looks at: whole frames, persons, or persons and pairs."""
    whole = embeddings.track_id == NOBODY
    single = embeddings.other_id == NOBODY
    return np.asarray({"frame": whole, "box": ~whole & single, "pair": ~whole}[view])


def moments(
    embeddings: Embeddings, probabilities: NDArray[np.float32], view: View, normal: int
) -> Moments:
    """Gather the rows of one video into what is said at every sampled frame.

    Args:
        embeddings: N rows, whole frames among them.
        probabilities: (N, C) of every row.
        view: what to look at.
        normal: index of the class that is not an event.

    Raises:
        InputError: a video without whole frames.
    """
    whole = embeddings.track_id == NOBODY
    if not whole.any():
        raise InputError(
            f"zero_shot: {embeddings.video_id}: expected embeddings of whole frames, got none"
        )
    frames, seen = embeddings.frame[whole], looks(embeddings, view)
    judged = most_eventful(embeddings.frame[seen], probabilities[seen], frames, normal)
    return Moments(embeddings.time_s[whole], judged, probabilities[whole])


def suggest(
    clip: Clip, embeddings: Embeddings, asked: ZeroShot, view: View, top_share: float
) -> NDArray[np.float32]:
    """Say what a clip probably shows, for people who are about to label it.

    Args:
        clip: a window of the video.
        embeddings: of the same video.
        asked: the classes in words.
        view: what to look at; where nobody is, the whole frame is.
        top_share: the mean is over this share of the clip's moments, the most eventful ones.

    Returns:
        (C,) class probabilities.

    Raises:
        InputError: embeddings of another video, or none within the clip.
    """
    if embeddings.video_id != clip.video_id:
        raise InputError(
            f"zero_shot: {clip.clip_id}: expected embeddings of its video, got "
            f"{embeddings.video_id}"
        )
    found = moments(embeddings, asked.judge(embeddings), view, asked.normal)
    inside = (found.time_s >= clip.start_s) & (found.time_s < clip.end_s)
    if not inside.any():
        raise InputError(f"zero_shot: {clip.clip_id}: expected embeddings within it, got none")
    judged = np.where(np.isfinite(found.judged), found.judged, found.fallback)[inside]
    count = max(1, round(top_share * len(judged)))
    top = judged[np.argsort(judged[:, asked.normal], kind="stable")[:count]]
    return np.asarray(top.mean(axis=0), np.float32)
