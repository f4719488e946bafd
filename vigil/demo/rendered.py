"""Skeletons of rendered scenes as the demo's own networks find them.

    python -m vigil.demo.rendered --out FILE --scenes 800

The simulated scenes of `vigil.demo.simulated` cost nothing, but their errors are only like those of
a detector, a tracker and a pose network. Here every scene is drawn, coded as H.264, decoded, and
looked at as the stages `mask` and `skeletons` look at footage; only the masks are left out, which
no skeleton needs. A scene takes some ten core-seconds. What is found is kept beside FILE, in a
folder named after the networks and the parameters they are run with, so a killed run goes on and a
changed one begins anew. A changed scene generator is not noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from vigil.command import run
from vigil.config import Config
from vigil.demo.footage import CRF, FPS
from vigil.demo.images import scene_seeds
from vigil.demo.simulated import scene_id, write_scenes
from vigil.demo.windows import skeleton_windows
from vigil.demo.world.scenes import Scene, make_scene
from vigil.errors import VigilError
from vigil.items import file_hash
from vigil.paths import Paths
from vigil.perception import masking, skeletons, yolo_network
from vigil.perception.detector import PersonDetector
from vigil.perception.pose import PoseEstimator
from vigil.perception.rtmo_network import export_rtmo
from vigil.perception.segmenter import DetectorSegmenter
from vigil.schema import Skeletons, Tracks
from vigil.session import OnnxSession
from vigil.video import VideoWriter
from vigil.weights import SHIPPED, entry
from vigil.workers import run_jobs

_DETECTOR, _POSE = "yolo11n.onnx", "rtmo.onnx"
SEED = 60  # of the scenes, where no other is asked for
_EVERY = 20  # scenes from one line of progress to the next


def render(
    path: Path, scenes: int, config: Config, say: Callable[[str], None], weights: Path = SHIPPED,
    seed: int = SEED, workers: int | None = None, split: str = "train",
) -> int:  # fmt: skip
    """Write an annotation file of rendered scenes' windows; a twentieth is for validation.

    Args:
        path: where to write; networks and skeletons go to a folder beside it.
        scenes: how many.
        config: classes, windows, and everything the networks are run with.
        say: receives a line now and then.
        weights: holds `yolo11n.safetensors` and `rtmo.safetensors`.
        seed: part of the split of scene seeds; the demo's detector and pose network have learned
            from seeds 1 to 3 of `train`.
        workers: processes; every core when None.
        split: of scene seeds, see `vigil.demo.images`.

    Returns:
        The number of windows.

    Raises:
        InputError: a network's weights are missing.
        VigilError: a scene could not be made or looked at.
    """
    seeds = scene_seeds(split, seed, scenes)
    found = look(path, seeds, config, say, weights, workers)
    return write_scenes(
        path, [row for number in seeds for row in _windows(number, config, found[number])], seeds
    )


def look(
    beside: Path, seeds: Sequence[int], config: Config, say: Callable[[str], None],
    weights: Path = SHIPPED, workers: int | None = None,
) -> dict[int, Path]:  # fmt: skip
    """Draw scenes and have the networks look at them, unless that is done.

    Args:
        beside: file; what is found is kept in a folder beside it, of its name without the suffix,
            and there in one named after the networks and their parameters.
        seeds: of the scenes.
        config: everything the networks are run with.
        say: receives a line now and then.
        weights: see `render`.
        workers: processes; every core when None.

    Returns:
        The file of skeletons of each seed.

    Raises:
        InputError: a network's weights are missing.
        VigilError: a scene could not be made or looked at.
    """
    folder = beside.with_suffix("") / key(config, weights)
    folder.mkdir(parents=True, exist_ok=True)
    _install(config, weights, folder)
    missing = [number for number in seeds if not _kept(folder, number).is_file()]
    work = partial(find_people, config=config, folder=folder)
    for done, outcome in enumerate(run_jobs(work, missing, workers or 0), start=1):
        if outcome.error:
            raise VigilError(f"rendered: {scene_id(outcome.job)}: {outcome.error}")
        if not done % _EVERY:
            say(f"{done} of {len(missing)} scenes, {len(seeds) - len(missing)} were there")
    return {number: _kept(folder, number) for number in seeds}


def key(config: Config, weights: Path) -> str:
    """Return the content key of all that decides what is found in a scene, but for the scene."""
    parts: dict[str, Any] = {
        "versions": [masking.VERSION, skeletons.VERSION],
        "mask": config.mask.model_dump(mode="json"),
        "skeletons": config.skeletons.model_dump(mode="json"),
        "networks": [file_hash(weights / entry("demo", n).file) for n in ("yolo11n", "rtmo")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def find_people(seed: int, config: Config, folder: Path) -> None:
    """Render the scene of a seed and keep the skeletons that the networks in `folder` find."""
    scene, name = make_scene(seed, fps=FPS), scene_id(seed)
    detector, estimator = _networks(config, folder)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        out, video = Path(made), Path(made) / "video.mp4"
        _film(scene, video)
        masking.mask_video(video, name, out, detector, DetectorSegmenter(0), config.mask)
        tracks = Tracks.read(out / "tracks.parquet")
        found = skeletons.follow_poses(video, tracks, estimator, config.skeletons)
        found.write(_kept(folder, seed))


def _film(scene: Scene, path: Path) -> None:
    """Encode a scene as the demo's footage is."""
    with VideoWriter(path, scene.width, scene.height, crf=CRF) as writer:
        for index in range(scene.n_frames):
            writer.write(scene.render(index)[0], index / scene.fps)


@lru_cache(maxsize=1)
def _networks(config: Config, folder: Path) -> tuple[PersonDetector, PoseEstimator]:
    """Load both networks once a process."""
    detector = OnnxSession(folder / _DETECTOR)
    return (
        PersonDetector(detector, config.mask.detector, config.mask.max_persons),
        PoseEstimator(OnnxSession(folder / _POSE), config.skeletons),
    )


def _install(config: Config, weights: Path, folder: Path) -> None:
    """Export both networks to `folder` unless they are there."""
    detector, pose = (entry("demo", name) for name in ("yolo11n", "rtmo"))
    if not (folder / _DETECTOR).is_file():
        width, height = config.mask.detector.input_size
        network = yolo_network.load(weights / detector.file, detector.architecture)
        yolo_network.export(network, folder / _DETECTOR, height=height, width=width)
    if not (folder / _POSE).is_file():
        size = config.skeletons.input_size
        export_rtmo(pose.architecture, weights / pose.file, folder / _POSE, size)


def _kept(folder: Path, seed: int) -> Path:
    """Return where the skeletons of a scene are kept."""
    return folder / f"{scene_id(seed)}.parquet"


def _windows(seed: int, config: Config, kept: Path) -> list[dict[str, Any]]:
    """Return the labeled windows of a scene whose skeletons are kept in a file."""
    found = Skeletons.read(kept)
    scene = make_scene(seed, fps=FPS)
    return skeleton_windows(scene, found, config.clips, config.classes, config.normal_class)


def main(config: Config, _: Paths, arguments: argparse.Namespace) -> None:
    """Render, look, and write the annotation file."""

    def say(line: str) -> None:
        sys.stdout.write(f"rendered: {line}\n")
        sys.stdout.flush()

    out, scenes = arguments.out, arguments.scenes
    count = render(out, scenes, config, say, arguments.weights, arguments.seed, config.workers)
    say(f"{count} windows of {scenes} scenes in {out}")


if __name__ == "__main__":
    run(
        main,
        __doc__,
        ("--out", {"type": Path, "required": True, "help": "annotation file to write"}),
        ("--scenes", {"type": int, "default": 800}),
        ("--seed", {"type": int, "default": SEED, "help": "of the scenes"}),
        ("--weights", {"type": Path, "default": SHIPPED, "help": "folder of the networks"}),
    )
