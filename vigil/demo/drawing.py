"""Images of drawn scenes without end, made by processes beside a training.

Knows: scenes and what stands in them. Does not know: networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.demo.annotations import coco_annotations
from vigil.demo.images import Shares, draw, scene_seeds
from vigil.demo.pose_data import Persons, persons_of

PER_SHARD = 32
# Ordinary scenes; falls, and hands that are busy, often by night; a milder mixture of both.
MIXTURE = (
    (0.35, Shares()),
    (0.35, Shares(falls=0.6, acts=1.0, night=0.35)),
    (0.30, Shares(falls=0.25, acts=1.0, night=0.15)),
)


@dataclass(frozen=True)
class Shard:
    """A few drawn images.

    Attributes:
        images: (N, H, W, 3) uint8, BGR, as JPEG leaves them.
        persons: N of them, in pixels of the images.
    """

    images: NDArray[np.uint8]
    persons: list[Persons]


def draw_shard(seeds: Sequence[int]) -> Shard:
    """Draw one image of each scene seed; scenes of one room are of one kind of `MIXTURE`."""
    made = [_draw(seed) for seed in seeds]
    return Shard(np.stack([image for image, _ in made]), [persons for _, persons in made])


def _draw(seed: int) -> tuple[NDArray[np.uint8], Persons]:
    """Draw one image, coded and decoded."""
    rgb, truth, quality = draw(seed, _kind(seed))
    coded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    image = cv2.imdecode(coded, cv2.IMREAD_COLOR).astype(np.uint8)
    return image, persons_of(coco_annotations(truth, 1), 1.0)


def _kind(seed: int) -> Shares:
    """Return what the scenes of a seed's room shall show."""
    shares = [share for share, _ in MIXTURE]
    room = np.random.default_rng([seed // PER_SHARD, 12])
    return MIXTURE[room.choice(len(MIXTURE), p=shares)][1]


class Drawing:
    """Shards that processes draw; as many are always begun as keep all of them at work."""

    def __init__(self, pool: ProcessPoolExecutor, workers: int, seed: int) -> None:
        """Begin to draw.

        Args:
            pool: of `vigil.workers.worker_pool`.
            workers: its processes.
            seed: part of the split `train` to draw scenes of, 0 to 99.
        """
        self._pool, self._seeds = pool, scene_seeds("train", seed, 1_000_000)
        self._next, self._begun = 0, list[Future[Shard]]()
        for _ in range(2 * workers):
            self._begin()

    def _begin(self) -> None:
        start = self._next % (len(self._seeds) - PER_SHARD)
        self._next += PER_SHARD
        seeds = self._seeds[start : start + PER_SHARD]
        self._begun.append(self._pool.submit(draw_shard, seeds))

    def collect(self) -> list[Shard]:
        """Return the shards that are ready, and begin as many new ones."""
        ready = [shard for shard in self._begun if shard.done()]
        self._begun = [shard for shard in self._begun if shard not in ready]
        for _ in ready:
            self._begin()
        return [shard.result() for shard in ready]

    def stop(self) -> None:
        """Leave what has not begun undone."""
        for shard in self._begun:
            shard.cancel()
