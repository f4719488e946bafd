"""How fast the `embed` stage's code is beside CLIP called frame by frame, crop by crop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.compat import apply
from vigil.config import EmbedSection
from vigil.perception.clip_network import Clip
from vigil.perception.crops import cut
from vigil.perception.embedder import Embedder, embed_video, plan_crops
from vigil.schema import Tracks
from vigil.video import decode


@dataclass(frozen=True)
class Timing:
    """Seconds for one video, the first two each the least of the repeats.

    Attributes:
        crops: how many.
        one_by_one_s: open_clip in torch, prepared by its own transform, one crop a call.
        batched_s: `embed_video`.
        every_frame_s: as `one_by_one_s`, but on every frame instead of every `every_s`.
        every_crops: how many crops that is.
        worst: largest difference of a number of the two sets of vectors.
    """

    crops: int
    one_by_one_s: float
    batched_s: float
    every_frame_s: float
    every_crops: int
    worst: float

    @property
    def gain(self) -> float:
        """How many times as fast the stage's code is."""
        return self.one_by_one_s / self.batched_s


def compare(
    video: Path, tracks: Tracks, clip: Clip, embedder: Embedder, config: EmbedSection, repeats: int
) -> Timing:
    """Embed one video both ways, in turns.

    Args:
        video: footage.
        tracks: its people.
        clip: the network in torch.
        embedder: the same network as the stage runs it.
        config: which crops.
        repeats: how often each is timed.

    Raises:
        InputError: the video cannot be decoded.
    """
    table = embed_video(video, tracks, embedder, config)
    frames = set(table.frame.tolist())
    slow, fast = [], []
    single = np.zeros((0, clip.dim), np.float32)
    for _ in range(repeats):
        seconds, single = _timed(lambda: one_by_one(video, tracks, clip, config, frames))
        slow.append(seconds)
        seconds, _ = _timed(
            lambda: embed_video(video, tracks, embedder, config).embedding.astype(np.float32)
        )
        fast.append(seconds)
    seconds, every = _timed(lambda: one_by_one(video, tracks, clip, config, None))
    worst = float(np.abs(single - table.embedding.astype(np.float32)).max())
    return Timing(len(table), min(slow), min(fast), seconds, len(every), worst)


def one_by_one(
    video: Path, tracks: Tracks, clip: Clip, config: EmbedSection, frames: set[int] | None
) -> NDArray[np.float32]:
    """Return the (N, D) vectors as plain open_clip code gets them: one crop, one call.

    Args:
        video: footage.
        tracks: its people.
        clip: the network.
        config: which crops.
        frames: which frames; None for all.
    """
    apply()
    from open_clip.transform import image_transform
    from PIL import Image

    prepare = image_transform(clip.image_size, is_train=False)
    vectors = []
    for frame in decode(video):
        if frames is not None and frame.index not in frames:
            continue
        low, high = np.searchsorted(tracks.frame, [frame.index, frame.index + 1])
        size = (frame.rgb.shape[1], frame.rgb.shape[0])
        for box in plan_crops(tracks.track_id[low:high], tracks.xyxy[low:high], size, config).boxes:
            crop = Image.fromarray(cut(frame.rgb, box, config.crop_px, config.fill))
            with torch.no_grad():
                vectors.append(clip.model.encode_image(prepare(crop)[None], normalize=True)[0])
    return np.asarray(torch.stack(vectors).numpy(), dtype=np.float32)


def _timed(
    work: Callable[[], NDArray[np.float32]],
) -> tuple[float, NDArray[np.float32]]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
