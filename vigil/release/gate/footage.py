"""What networks see in the project's own footage: their inputs, made by the stages' code.

Nothing here makes an input by itself: a session notes what the detector, the pose network or the
embedder hands over, so that a network is judged on exactly what it is asked in service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, EmbedSection
from vigil.crop_graph import CropDoor, side_of
from vigil.errors import InputError, ModelError
from vigil.feeds import TensorSpec
from vigil.models.reading import Batch, Row, SequenceReading
from vigil.models.store import ModelSpec
from vigil.perception.detector import PersonDetector
from vigil.perception.embedder import CLIP_IMAGE, Embedder, embed_video
from vigil.perception.pose import PoseEstimator
from vigil.schema import Clip, Tracks
from vigil.sequences import Tokens, cut_clip
from vigil.session import Array, OnnxSession, Session
from vigil.tokens import token_row
from vigil.video import decode

_FRAMES, _STRIDE = 8, 10  # of one video: every tenth of its first frames


class _Noting:
    """A session that notes what it is asked, and asks on.

    Attributes:
        feeds: what it was asked.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.inputs: tuple[TensorSpec, ...] = session.inputs
        self.outputs: tuple[TensorSpec, ...] = session.outputs
        self.metadata, self.provider = session.metadata, session.provider
        self.feeds: list[dict[str, Array]] = []

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.feeds.append(dict(feeds))
        return self._session.run(feeds)


def is_network(name: str, config: Config) -> bool:
    """Tell whether `name` is a network that the perception stages ask."""
    return name in {config.mask.detector.name, config.skeletons.pose, CLIP_IMAGE}


def seen_by(
    name: str, session: Session, config: Config, tracks: Path, videos: Sequence[Path], rows: int
) -> dict[str, Array]:
    """Return what a network is asked about footage, at most `rows` rows, spread over the videos.

    Args:
        name: of the network, see `is_network`.
        session: runs it.
        config: all parameters.
        tracks: folder of the videos' tracks, which say where the embedder looks.
        videos: the footage.
        rows: most rows.

    Raises:
        InputError: no video, or one without anything to look at.
        ModelError: the network is not what the stages ask.
    """
    noting, found = _Noting(session), []
    each = max(1, -(-rows // max(1, len(videos))))
    for video in videos:
        noting.feeds.clear()
        if name == CLIP_IMAGE:
            embedder = Embedder(noting, config.embed.batch)
            embed_video(video, _tracks(tracks, video), embedder, config.embed)
        else:
            frames = [frame.rgb for frame in islice(decode(video), 0, _FRAMES * _STRIDE, _STRIDE)]
            _ask(name, noting, config, frames)
        asked = [
            {key: array[i : i + 1] for key, array in feeds.items()}
            for feeds in noting.feeds
            for i in range(len(next(iter(feeds.values()))))
        ]
        found += [
            asked[i] for i in np.linspace(0, len(asked) - 1, min(each, len(asked)), dtype=int)
        ]
    if not found:
        raise InputError(f"verify: {name}: expected footage to look at, got none")
    return {key: np.concatenate([row[key] for row in found[:rows]]) for key in found[0]}


def _ask(name: str, session: Session, config: Config, frames: list[NDArray[np.uint8]]) -> None:
    if name == config.mask.detector.name:
        PersonDetector(session, config.mask.detector, config.mask.max_persons).detect(frames)
    else:
        PoseEstimator(session, config.skeletons).estimate(frames)


def _tracks(folder: Path, video: Path) -> Tracks:
    return Tracks.read(folder / f"{video.stem}.parquet")


@dataclass(frozen=True, eq=False)
class CropReading:
    """Footage as a recognizer behind CLIP is asked: the crops whose embeddings the other one reads.

    Attributes:
        door: what it takes.
        encoder: CLIP, for its sizes; it is not run.
        embed: what is looked at.
        videos: the footage by video id.
        tracks: folder of their tracks.
        clips: the windows by clip id.
    """

    door: CropDoor
    encoder: Session
    embed: EmbedSection
    videos: Mapping[str, Path]
    tracks: Path
    clips: Mapping[str, Clip]

    @property
    def facts(self) -> Mapping[str, Any]:
        """See `vigil.release.gate.quality.Judged`."""
        return self.door.facts

    def batch(self, rows: Sequence[Row]) -> Batch:
        """See `vigil.release.gate.quality.Judged`; each video is decoded once."""
        found: dict[int, NDArray[np.uint8]] = {}
        for video in sorted({str(row["video_id"]) for row in rows}):
            mine = [i for i, row in enumerate(rows) if row["video_id"] == video]
            clips = [self.clips[rows[i]["frame_dir"]] for i in mine]
            found |= dict(zip(mine, self._sequences(self.videos[video], clips), strict=True))
        parts = [found[i] for i in range(len(rows))]
        owner = np.repeat(np.arange(len(rows)), [len(part) for part in parts])
        feeds: dict[str, Any] = {"crops": np.concatenate(parts)}
        return Batch(feeds, owner)

    def settle(
        self, probabilities: NDArray[np.floating[Any]], owner: NDArray[np.intp], count: int
    ) -> NDArray[np.float32]:
        """See `vigil.release.gate.quality.Judged`."""
        return self.door.reads.settle(probabilities, owner, count)

    def _sequences(self, video: Path, clips: Sequence[Clip]) -> Iterator[NDArray[np.uint8]]:
        """Yield each clip's (S, L, side, side, 3) crops, cut as its embeddings are."""
        keeper = _Keeper(self.encoder, self.embed.batch)
        table = embed_video(video, _tracks(self.tracks, video), keeper, self.embed)
        crops = np.stack([*keeper.crops, np.zeros((self.door.side,) * 2 + (3,), np.uint8)])
        reads = self.door.reads
        for clip in clips:
            row = token_row(clip, table, None)
            inside = (table.time_s >= clip.start_s) & (table.time_s < clip.end_s)
            place = np.flatnonzero(inside)[:, None] - len(keeper.crops)  # from the end: never 0
            tokens = Tokens.of(row | {"embedding": place.astype(np.float64)})
            cut = cut_clip(tokens, clip.start_s, clip.end_s, reads.cut, reads.normal)
            at = cut.embedding[..., 0].astype(np.intp)
            yield crops[np.where(at < 0, at - 1, -1)]


def crop_reading(
    spec: ModelSpec,
    encoder: OnnxSession,
    embed: EmbedSection,
    videos: Mapping[str, Path],
    tracks: Path,
    clips: Mapping[str, Clip],
) -> CropReading:
    """Return how the footage of clips is read for a recognizer behind CLIP.

    Raises:
        ModelError: the recognizer reads no embeddings, or not those of this encoder.
    """
    if not isinstance(spec.reads, SequenceReading):
        raise ModelError(f"{spec.name}: expected a recognizer of embeddings")
    door = CropDoor(spec.reads, side_of(encoder, spec.reads.dim))
    return CropReading(door, encoder, embed, videos, tracks, clips)


class _Keeper(Embedder):
    """Keeps the crops instead of embedding them."""

    def __init__(self, session: Session, batch: int) -> None:
        super().__init__(session, batch)
        self.crops: list[NDArray[np.uint8]] = []

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Keep (S, S, 3) crops; return zeros in place of their vectors."""
        self.crops += crops
        return np.zeros((len(crops), self.dim), np.float32)
