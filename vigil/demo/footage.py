"""Demo footage: H.264 videos of synthetic scenes with ground truth and a manifest.

Layout of the output folder::

    videos/s03_c1_0007.mp4
    ground_truth/s03_c1_0007.json.gz
    manifest.json

The ground truth of a video (schema version 1) is a JSON object with ``version``, ``video_id``,
``width``, ``height``, ``fps``, ``n_frames``, ``scene``, ``camera``, ``label``, ``behavior``,
``events`` (each ``start_s``, ``end_s``, ``label``, ``behavior``, ``person_ids``) and ``persons``:
parallel columns with one row per person and frame, ``frame`` (0-based), ``track_id``, ``xyxy``
(pixels, around the visible pixels), ``visible_fraction``, ``rle`` (COCO compressed counts of the
visible pixels), ``keypoints`` (17 times x, y in pixels) and ``visibility`` (17 COCO values:
0 outside the image, 1 occluded, 2 visible). The manifest is ``{"version", "seed", "videos":
[{"video_id", "scene", "camera", "behavior", "label", "duration_s", "n_persons", "seed"}]}``.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vigil.demo.annotations import encode_mask
from vigil.demo.images import scene_seeds
from vigil.demo.world import behaviors
from vigil.demo.world.render import FrameTruth
from vigil.demo.world.scenes import Scene, make_scene
from vigil.video import VideoWriter
from vigil.workers import worker_pool

SCHEMA_VERSION = 1
FPS = 12
CRF = 25
CAMERAS_PER_SCENE = 2


@dataclass(frozen=True)
class Shot:
    """One video to make: which scene, camera and behaviour, and the seed of the action."""

    video_id: str
    scene: int
    camera: int
    behavior: str
    seed: int
    scene_seed: int


def plan_footage(n_videos: int, seed: int) -> list[Shot]:
    """Spread the three classes evenly over at least ten scenes of two cameras each.

    Every scene and camera gets every class in turn, so neither gives the class away.
    """
    rng = np.random.default_rng([seed, 4])
    n_scenes = max(10, -(-n_videos // 12))
    rooms = scene_seeds("footage", seed, n_scenes)
    views = [(s, c) for s in range(n_scenes) for c in range(CAMERAS_PER_SCENE)]
    leaves = [
        list(rng.permutation(v)) for v in (behaviors.NORMAL, behaviors.ASSAULT, behaviors.FAINT)
    ]
    turns = [0, 0, 0]
    shots = []
    for i in range(n_videos):
        block, place = divmod(i, len(views))
        if place == 0:
            order = rng.permutation(len(views))
        scene, camera = views[order[place]]
        kind = (scene + camera + block) % 3
        behavior = str(leaves[kind][turns[kind] % len(leaves[kind])])
        turns[kind] += 1
        action = rooms[scene] + 500_000 + i
        shots.append(
            Shot(f"s{scene:02d}_c{camera}_{i:04d}", scene, camera, behavior, action, rooms[scene])
        )
    return sorted(shots, key=lambda s: s.video_id)


def build_scene(shot: Shot) -> Scene:
    """Build the scene of a shot."""
    return make_scene(shot.seed, shot.behavior, shot.scene_seed, shot.camera, fps=FPS)


def make_video(shot: Shot, out: Path) -> dict[str, Any]:
    """Render one video and its ground truth under `out`; return its manifest row."""
    scene = build_scene(shot)
    rows = _render(scene, out / "videos" / f"{shot.video_id}.mp4")
    document = {
        "version": SCHEMA_VERSION, "video_id": shot.video_id, "width": scene.width,
        "height": scene.height, "fps": scene.fps, "n_frames": scene.n_frames,
        "scene": shot.scene, "camera": shot.camera, "label": scene.label,
        "behavior": shot.behavior, "events": [asdict(e) for e in scene.events], "persons": rows,
    }  # fmt: skip
    path = out / "ground_truth" / f"{shot.video_id}.json.gz"
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(gzip.compress(json.dumps(document).encode(), 6, mtime=0))
    temporary.replace(path)
    return {
        "video_id": shot.video_id, "scene": shot.scene, "camera": shot.camera,
        "behavior": shot.behavior, "label": scene.label,
        "duration_s": round(scene.n_frames / scene.fps, 3), "n_persons": len(scene.actors),
        "seed": shot.seed,
    }  # fmt: skip


def _render(scene: Scene, path: Path) -> dict[str, list[Any]]:
    """Encode the scene to `path`; return the ground truth columns."""
    columns: dict[str, list[Any]] = {
        "frame": [], "track_id": [], "xyxy": [], "visible_fraction": [], "rle": [],
        "keypoints": [], "visibility": [],
    }  # fmt: skip
    with VideoWriter(path, scene.width, scene.height, crf=CRF) as writer:
        for index in range(scene.n_frames):
            image, truth = scene.render(index)
            _append(columns, index, truth)
            writer.write(image, index / scene.fps)
    return columns


def _append(columns: dict[str, list[Any]], index: int, truth: FrameTruth) -> None:
    """Add a frame's persons to the columns."""
    for i in range(len(truth.track_ids)):
        columns["frame"].append(index)
        columns["track_id"].append(int(truth.track_ids[i]))
        columns["xyxy"].append([float(v) for v in truth.boxes[i]])
        columns["visible_fraction"].append(round(float(truth.visible_fraction[i]), 4))
        columns["rle"].append(encode_mask(truth.masks[i])["counts"])
        columns["keypoints"].append(np.round(truth.keypoints[i].astype(float), 2).tolist())
        columns["visibility"].append(truth.visibility[i].tolist())


def make_footage(
    out_dir: Path | str, n_videos: int = 40, seed: int = 0, workers: int | None = None
) -> Path:
    """Render the demo footage; see the module for the layout.

    Args:
        out_dir: folder to write to.
        n_videos: how many videos.
        seed: 0 to 99.
        workers: processes; all cores when None.

    Returns:
        The path of `manifest.json`.
    """
    out = Path(out_dir)
    for name in ("videos", "ground_truth"):
        (out / name).mkdir(parents=True, exist_ok=True)
    shots = plan_footage(n_videos, seed)
    work = partial(make_video, out=out)
    count = workers or os.cpu_count() or 1
    if count <= 1:
        rows = [work(shot) for shot in shots]
    else:
        with worker_pool(count) as running:
            rows = list(running.map(work, shots))
    path = out / "manifest.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(
        json.dumps({"version": SCHEMA_VERSION, "seed": seed, "videos": rows}, indent=1)
    )
    temporary.replace(path)
    return path
