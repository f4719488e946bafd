"""The embedding benchmark compares like with like: the same crops, the same vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.videos import FPS, HEIGHT, TOP, WIDTH, film, walk
from vigil.benchmark.embedding import compare
from vigil.config import EmbedSection
from vigil.perception import clip_network
from vigil.perception.embedder import Embedder
from vigil.schema import Tracks
from vigil.session import OnnxSession


def test_both_ways_see_the_same_crops_and_say_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip = clip_network.wrap(clip_network.build("demo"))
    clip_network.export_image(clip, "demo", tmp_path / "i.onnx", clip.image_size)
    config = EmbedSection(
        crop_px=clip.image_size, pad=0.1, min_side=32.0, fill="edge", every_s=0.25, frames=True,
        pairs=True, pair_distance=0.2, batch=4,
    )  # fmt: skip
    frame = np.arange(6, dtype=np.int32)
    boxes = np.tile(np.array([[40, TOP, 72, TOP + 64]], np.float32), (6, 1))
    tracks = Tracks("v", WIDTH, HEIGHT, frame, frame / FPS, np.ones(6, np.int32), boxes,
                    np.ones(6, np.float32))  # fmt: skip
    video = film(tmp_path / "v.mp4", [walk(40, 0)], frames=6)
    embedder = Embedder(OnnxSession(tmp_path / "i.onnx"), 4)
    timing = compare(video, tracks, clip, embedder, config, repeats=1)
    assert (timing.crops, timing.every_crops) == (4, 12)
    assert timing.worst < 2e-3
    assert timing.gain == timing.one_by_one_s / timing.batched_s > 0
