"""CLIP's vectors of people, pairs of people and whole frames of a video.

Knows: the image graph's tensors (see `clip_network`) and which frames are looked at. Does not know:
whether ONNX Runtime or Triton runs the graph, nor what the vectors are used for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, EmbedSection
from vigil.errors import InputError, ModelError
from vigil.items import Item, file_hash
from vigil.paths import Paths
from vigil.perception.crops import cut, near_pairs, square, union
from vigil.schema import NOBODY, Embeddings, Tracks
from vigil.session import OnnxSession, Session
from vigil.video import Frame, decode

VERSION: Final = 1  # raise it when the same inputs give other vectors
CLIP_IMAGE: Final = "clip_image"  # the served model

Array = NDArray[np.float32]


def clip_notes(session: Session) -> dict[str, str]:
    """Return the metadata of an image encoder: `clip`, `dim` and `logit_scale`.

    Raises:
        ModelError: the graph is not vigil's image encoder.
    """
    inputs, outputs = session.inputs, session.outputs
    fits = (
        len(inputs) == 1
        and (inputs[0].name, inputs[0].dtype) == ("crops", np.dtype(np.uint8))
        and len(inputs[0].shape) == 4
        and inputs[0].shape[1] == inputs[0].shape[2]
        and [spec.name for spec in outputs] == ["embedding"]
    )
    if not fits:
        got = ", ".join(str(spec) for spec in (*inputs, *outputs))
        raise ModelError(f"embed: expected crops uint8 (*, S, S, 3) and embedding, got {got}")
    missing = sorted({"clip", "dim", "logit_scale"} - set(session.metadata))
    if missing:
        raise ModelError(f"embed: expected metadata clip, dim and logit_scale, got no {missing}")
    return session.metadata


class Embedder:
    """CLIP's image encoder behind a `Session`.

    Attributes:
        clip: name of the variant.
        dim: length D of a vector.
        logit_scale: what cosines with texts are multiplied by before a softmax.
        crop_px: side S of a crop in pixels.
    """

    def __init__(self, session: Session, batch: int) -> None:
        """Check the graph.

        Args:
            session: the image graph, see `clip_network`.
            batch: crops that it sees at once.

        Raises:
            ModelError: another graph.
        """
        notes = clip_notes(session)
        self._session, self._batch = session, batch
        self.clip, self.dim = notes["clip"], int(notes["dim"])
        self.logit_scale = float(notes["logit_scale"])
        self.crop_px = int(session.inputs[0].shape[1] or 0)

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> Array:
        """Return the (N, D) float32 vectors, of length 1, of N crops (S, S, 3) uint8 RGB.

        Raises:
            InputError: a crop of another size.
        """
        if not len(crops):
            return np.zeros((0, self.dim), dtype=np.float32)
        parts = [
            self._session.run({"crops": np.stack(crops[start : start + self._batch])})["embedding"]
            for start in range(0, len(crops), self._batch)
        ]
        return np.concatenate(parts).astype(np.float32)


def embed_item(config: Config, paths: Paths, item: Item, out: Path) -> None:
    """Compute one video's `embeddings.parquet` in `out`; for worker processes.

    Args:
        config: all parameters.
        paths: of the project.
        item: its inputs are the video and its tracks.
        out: an existing folder.
    """
    video, tracks = item.inputs
    found = embed_video(video, Tracks.read(tracks), _embedder(config, paths), config.embed)
    found.write(out / "embeddings.parquet")


def embed_key(config: Config, paths: Paths) -> dict[str, Any]:
    """Return what besides video and tracks decides over the result; see `vigil.items.Work.key`.

    Raises:
        ModelError: the encoder's file is missing or does not fit the parameters.
    """
    load_embedder(config, paths)
    return {
        "version": VERSION,
        "embed": config.embed.model_dump(mode="json", exclude={"batch"}),
        "clip": file_hash(paths.onnx(CLIP_IMAGE)),
    }


def load_embedder(config: Config, paths: Paths) -> Embedder:
    """Load CLIP's image encoder for this process.

    Raises:
        ModelError: the file is missing or its crops have another size than `embed.crop_px`.
    """
    embedder = Embedder(OnnxSession(paths.onnx(CLIP_IMAGE)), config.embed.batch)
    if embedder.crop_px != config.embed.crop_px:
        raise ModelError(
            f"embed.crop_px: expected {embedder.crop_px}, the side that the encoder was exported "
            f"for, got {config.embed.crop_px}; run the weights stage again"
        )
    return embedder


@lru_cache(maxsize=1)
def _embedder(config: Config, paths: Paths) -> Embedder:
    return load_embedder(config, paths)


class Looks:
    """Which frames are looked at: the first one at or after every multiple of `every_s`."""

    def __init__(self, every_s: float) -> None:
        """Start at time 0; `every_s` in seconds."""
        self._every_s, self._next = every_s, 0

    def due(self, time_s: float) -> bool:
        """Tell whether the frame shown at `time_s`, later than those asked about, is looked at."""
        if time_s < self._next * self._every_s - 1e-6:
            return False
        self._next = int((time_s + 1e-6) // self._every_s) + 1
        return True


@dataclass(frozen=True)
class Crops:
    """What is looked at on one frame, sorted by its keys.

    Attributes:
        track_id: (N,) int32, -1 for the whole frame.
        other_id: (N,) int32, the second person of a pair, else -1.
        boxes: (N, 4) float32 squares, xyxy in pixels of the frame.
    """

    track_id: NDArray[np.int32]
    other_id: NDArray[np.int32]
    boxes: Array


def plan_crops(
    ids: NDArray[np.int32], boxes: Array, size: tuple[int, int], config: EmbedSection
) -> Crops:
    """Decide which squares of a frame are looked at.

    Args:
        ids: (N,) track ids, each once.
        boxes: (N, 4) xyxy of the people, possibly outside the frame.
        size: width and height of the frame in pixels.
        config: padding, least side, and whether frames and pairs count.
    """
    order = np.argsort(ids)
    ids, boxes = ids[order].astype(np.int32), boxes[order].astype(np.float32)
    nobody = np.full(len(ids), NOBODY, dtype=np.int32)
    keys = [np.stack([ids, nobody], axis=1)]
    squares = [square(boxes, config.pad, config.min_side)]
    if config.pairs:
        pairs = near_pairs(boxes, config.pair_distance)
        keys.append(ids[pairs])
        squares.append(square(union(boxes, pairs), config.pad, config.min_side))
    if config.frames:
        keys.append(np.full((1, 2), NOBODY, dtype=np.int32))
        squares.append(square(np.array([[0, 0, *size]], dtype=np.float32), 0.0, 0.0))
    key, box = np.concatenate(keys), np.concatenate(squares)
    order = np.lexsort(key.T[::-1])
    return Crops(key[order, 0], key[order, 1], box[order])


def embed_video(
    video: Path, tracks: Tracks, embedder: Embedder, config: EmbedSection
) -> Embeddings:
    """Embed the people, pairs and frames of a video, which is decoded once.

    The first frame at or after every multiple of `every_s` is looked at.

    Args:
        video: the footage.
        tracks: who is where; ground truth serves as well.
        embedder: CLIP.
        config: what is looked at and how.

    Raises:
        InputError: the video cannot be decoded or ends before the tracks do.
    """
    buffer = _Buffer(embedder, config.batch)
    rows: list[tuple[int, float, Crops]] = []
    count, looks = 0, Looks(config.every_s)
    for frame in decode(video):
        count += 1
        if not looks.due(frame.time_s):
            continue
        planned = _plan(frame, tracks, config)
        rows.append((frame.index, frame.time_s, planned))
        for box in planned.boxes:
            buffer.add(cut(frame.rgb, box, embedder.crop_px, config.fill))
    if len(tracks) and count <= int(tracks.frame.max()):
        raise InputError(
            f"embed: {video.name}: expected at least {int(tracks.frame.max()) + 1} frames, "
            f"got {count}"
        )
    head = (tracks.video_id, tracks.width, tracks.height)
    return table(head, embedder.clip, rows, buffer.vectors())


def _plan(frame: Frame, tracks: Tracks, config: EmbedSection) -> Crops:
    """Plan the crops of one decoded frame."""
    low, high = np.searchsorted(tracks.frame, [frame.index, frame.index + 1])
    size = (frame.rgb.shape[1], frame.rgb.shape[0])
    return plan_crops(tracks.track_id[low:high], tracks.xyxy[low:high], size, config)


def table(
    head: tuple[str, int, int], clip: str, rows: Sequence[tuple[int, float, Crops]], vectors: Array
) -> Embeddings:
    """Join the frames' crops and their vectors into one table.

    Args:
        head: video id, width and height in pixels.
        clip: the CLIP that made the vectors.
        rows: frame, time in seconds and crops of every frame looked at, in order.
        vectors: (N, D) of all crops, in order.
    """
    counts = [len(planned.boxes) for _, _, planned in rows]
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(p.boxes for _, _, p in rows)])
    none = np.zeros(0, np.int32)
    return Embeddings(
        *head, clip,
        frame=np.repeat(np.array([index for index, _, _ in rows], np.int32), counts),
        time_s=np.repeat(np.array([time_s for _, time_s, _ in rows], np.float64), counts),
        track_id=np.concatenate([none, *(planned.track_id for _, _, planned in rows)]),
        other_id=np.concatenate([none, *(planned.other_id for _, _, planned in rows)]),
        x1=boxes[:, 0], y1=boxes[:, 1], x2=boxes[:, 2], y2=boxes[:, 3],
        embedding=vectors.astype(np.float16),
    )  # fmt: skip


class _Buffer:
    """Collects crops and embeds them in full batches, so that few pixels are held."""

    def __init__(self, embedder: Embedder, batch: int) -> None:
        self._embedder, self._batch = embedder, batch
        self._waiting: list[NDArray[np.uint8]] = []
        self._done: list[Array] = []

    def add(self, crop: NDArray[np.uint8]) -> None:
        """Take one more crop."""
        self._waiting.append(crop)
        if len(self._waiting) == self._batch:
            self._flush()

    def vectors(self) -> Array:
        """Return the (N, D) vectors of all crops, in order."""
        self._flush()
        return np.concatenate(self._done)

    def _flush(self) -> None:
        self._done.append(self._embedder.embed(self._waiting))
        self._waiting = []


def sequences_of(table: Embeddings) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each person's track id and the rows of its crops (no pairs, no frames), in time."""
    alone = (table.track_id != NOBODY) & (table.other_id == NOBODY)
    for track_id in np.unique(table.track_id[alone]).tolist():
        yield track_id, np.flatnonzero(alone & (table.track_id == track_id))
