"""Skeletons of rendered scenes as the demo's own networks find them.

    python -m vigil.demo.rendered --out FILE --scenes 800

The simulated scenes of `vigil.demo.simulated` cost nothing, but their errors are only like those of
a detector, a tracker and a pose network. Here every scene is drawn, coded as H.264, decoded, and
looked at as the stages `mask` and `skeletons` look at footage; only the masks are left out, which
no skeleton needs. A scene takes some ten core-seconds. The networks and the skeletons of each scene
are kept beside FILE, so a killed run goes on.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from vigil.config import Config, load
from vigil.demo.footage import CRF, FPS
from vigil.demo.images import scene_seeds
from vigil.demo.simulated import scene_id, write_scenes
from vigil.demo.windows import skeleton_windows
from vigil.demo.world.scenes import Scene, make_scene
from vigil.perception import yolo_network
from vigil.perception.detector import PersonDetector
from vigil.perception.masking import mask_video
from vigil.perception.pose import PoseEstimator
from vigil.perception.rtmo_network import export_rtmo
from vigil.perception.segmenter import DetectorSegmenter
from vigil.perception.skeletons import follow_poses
from vigil.schema import Skeletons, Tracks
from vigil.session import OnnxSession
from vigil.video import VideoWriter
from vigil.weights import SHIPPED, entry

_LOG = logging.getLogger(__name__)

_DETECTOR, _POSE = "yolo11n.onnx", "rtmo.onnx"
_EVERY = 20  # scenes from one line of progress to the next


def film(scene: Scene, path: Path) -> None:
    """Encode a scene as the demo's footage is."""
    with VideoWriter(path, scene.width, scene.height, crf=CRF) as writer:
        for index in range(scene.n_frames):
            writer.write(scene.render(index)[0], index / scene.fps)


def look(seed: int, config: Config, folder: Path) -> list[dict[str, Any]]:
    """Render a scene unless that is done, find its people; return its labeled windows.

    Args:
        seed: of the scene.
        config: classes, windows, and everything the networks are run with.
        folder: holds the networks of `install`; a scene's skeletons are kept here.

    Raises:
        ModelError: a network is missing or does not fit the parameters.
    """
    scene = make_scene(seed, fps=FPS)
    name = scene_id(seed)
    kept = folder / f"{name}.parquet"
    if not kept.is_file():
        detector, estimator = _networks(config, folder)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            video = Path(work) / "video.mp4"
            film(scene, video)
            mask_video(video, name, Path(work), detector, DetectorSegmenter(0), config.mask)
            tracks = Tracks.read(Path(work) / "tracks.parquet")
            follow_poses(video, tracks, estimator, config.skeletons).write(kept)
    found = Skeletons.read(kept)
    return skeleton_windows(scene, found, config.clips, config.classes, config.normal_class)


@lru_cache(maxsize=1)
def _networks(config: Config, folder: Path) -> tuple[PersonDetector, PoseEstimator]:
    """Load both networks once a process."""
    detector = OnnxSession(folder / _DETECTOR)
    return (
        PersonDetector(detector, config.mask.detector, config.mask.max_persons),
        PoseEstimator(OnnxSession(folder / _POSE), config.skeletons),
    )


def install(weights: Path, config: Config, folder: Path) -> None:
    """Export the demo's detector and pose network to `folder` unless they are there.

    Args:
        weights: holds `yolo11n.safetensors` and `rtmo.safetensors`.
        config: input sizes.
        folder: an existing one.
    """
    detector, pose = (entry("demo", name) for name in ("yolo11n", "rtmo"))
    if not (folder / _DETECTOR).is_file():
        width, height = config.mask.detector.input_size
        network = yolo_network.load(weights / detector.file, detector.architecture)
        yolo_network.export(network, folder / _DETECTOR, height=height, width=width)
    if not (folder / _POSE).is_file():
        size = config.skeletons.input_size
        export_rtmo(pose.architecture, weights / pose.file, folder / _POSE, size)


def render(
    path: Path, scenes: int, config: Config, weights: Path = SHIPPED, seed: int = 60,
    workers: int | None = None,
) -> int:  # fmt: skip
    """Write an annotation file of rendered scenes' windows; a twentieth is for validation.

    Args:
        path: where to write; networks and skeletons go to a folder beside it.
        scenes: how many.
        config: see `look`.
        weights: see `install`.
        seed: part of the split `train` of scene seeds; the demo's detector and pose network have
            learned from seed 1 of it.
        workers: processes; every core when None.

    Returns:
        The number of windows.
    """
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    install(weights, config, folder)
    seeds = scene_seeds("train", seed, scenes)
    context = multiprocessing.get_context("spawn")
    every: list[dict[str, Any]] = []
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, context, _one_thread) as pool:
        work = partial(look, config=config, folder=folder)
        for done, found in enumerate(pool.map(work, seeds), start=1):
            every += found
            if not done % _EVERY:
                _LOG.info("%d of %d scenes", done, scenes)
    return write_scenes(path, every, seeds)


def _one_thread() -> None:
    """Keep OpenCV in a worker to one thread."""
    import cv2

    cv2.setNumThreads(1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="annotation file to write")
    parser.add_argument("--scenes", type=int, default=800)
    parser.add_argument("--seed", type=int, default=60)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="folder of the networks")
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config, _ = load(options.params)
    count = render(
        options.out, options.scenes, config, options.weights, options.seed, options.workers
    )
    _LOG.info("%d windows of %d scenes in %s", count, options.scenes, options.out)


if __name__ == "__main__":
    main()
