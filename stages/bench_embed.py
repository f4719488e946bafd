"""Measure the embedding of one tracked video beside CLIP called frame by frame."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from vigil.benchmark.embedding import compare
from vigil.command import run
from vigil.config import Config
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.perception import clip_network
from vigil.perception.embedder import Embedder
from vigil.schema import Tracks
from vigil.session import OnnxSession
from vigil.video import list_videos


def main(config: Config, paths: Paths, arguments: argparse.Namespace) -> None:
    """Time a CLIP of the given architecture, fresh weights: speed does not depend on them."""
    torch.set_num_threads(1)
    found = [(video, paths.tracks / f"{video.stem}.parquet") for video in list_videos(paths.videos)]
    tracked = [(video, tracks) for video, tracks in found if tracks.is_file()]
    if not tracked:
        raise InputError(f"bench_embed: {paths.tracks}: expected tracks of a video, got none")
    video, tracks = tracked[0]
    clip = clip_network.wrap(clip_network.build(arguments.architecture))
    section = config.embed.model_copy(update={"crop_px": clip.image_size})
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "image.onnx"
        clip_network.export_image(clip, arguments.architecture, graph, clip.image_size)
        embedder = Embedder(OnnxSession(graph), section.batch)
        timing = compare(video, Tracks.read(tracks), clip, embedder, section, arguments.repeats)
        provider = OnnxSession(graph).provider
    print(
        f"bench_embed: {arguments.architecture}, {timing.crops} crops of {video.name}, {provider}\n"
        f"  crop by crop  {timing.crops / timing.one_by_one_s:8.1f} crops/s  open_clip in torch\n"
        f"  embed         {timing.crops / timing.batched_s:8.1f} crops/s  batch {section.batch}\n"
        f"  gain          {timing.gain:8.2f} times, vectors differ by at most {timing.worst:.1e}\n"
        f"  every frame   {timing.every_frame_s:8.1f} s for {timing.every_crops} crops, singly\n"
        f"  every {section.every_s} s   {timing.batched_s:8.1f} s by embed: "
        f"{timing.every_frame_s / timing.batched_s:.1f} times as fast"
    )


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--architecture", {"choices": list(clip_network.DIMENSIONS), "default": "demo"}),
        ("--repeats", {"type": int, "default": 3, "help": "the best of so many"}),
    )
