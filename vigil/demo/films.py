"""Windows of simulated scenes as CLIP sees them: what the demo's CLIP-GRU is pretrained on.

Scenes are looked at several times a second (`vigil.demo.clip_data --every 0.2`). Their people's
crops become vectors of the given CLIP; who they are and what they take part in is known, and some
of the errors of a detector and a tracker are made. Does not know: how a network learns from that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.config import Config
from vigil.dataset import ANNOTATIONS, EMBEDDINGS, write_annotations
from vigil.demo.clip_data import SCENES_PER_ROOM
from vigil.demo.windows import labeled_windows
from vigil.demo.world.scenes import Scene, make_scene
from vigil.perception import clip_network
from vigil.schema import JOINTS, Clip
from vigil.tokens import Row

CLIP: Final = "demo/clip"
_BATCH: Final = 64
_MISSED: Final = 0.06  # share of crops that a detector misses
_EXCHANGED: Final = 0.25  # share of scenes in which a tracker exchanges two people

Columns = dict[str, NDArray[Any]]


def embed(crops: NDArray[np.uint8], clip: clip_network.Clip) -> NDArray[np.float16]:
    """Return the (N, D) vectors, of length 1, of (N, S, S, 3) crops."""
    graph = clip_network.ImageGraph(clip, crops.shape[1]).eval()
    with torch.inference_mode():
        parts = [graph(torch.from_numpy(crops[start : start + _BATCH])).numpy()
                 for start in range(0, len(crops), _BATCH)]  # fmt: skip
    return np.asarray(np.concatenate(parts), dtype=np.float16)


def mistaken(columns: Columns, rng: np.random.Generator) -> Columns:
    """Return one scene's crops with a detector's gaps and, sometimes, a tracker's exchange.

    Args:
        columns: N rows of `vigil.demo.clip_data`; `time_s` and `track` are looked at.
        rng: source of every choice.
    """
    found = (rng.random(len(columns["time_s"])) >= _MISSED) | (columns["track"][:, 0] < 0)
    columns = {name: values[found] for name, values in columns.items()}
    track = columns["track"]
    people = np.unique(track[track >= 0])
    if len(people) < 2 or rng.random() >= _EXCHANGED:
        return columns
    one, two = rng.choice(people, 2, replace=False)
    time_s = columns["time_s"]
    later = (time_s >= rng.uniform(time_s.min(), time_s.max()))[:, None]
    changed = np.select([later & (track == one), later & (track == two)], [two, one], track)
    pairs = changed[:, 1] >= 0
    changed[pairs] = np.sort(changed[pairs], axis=1)
    return columns | {"track": changed}


def windows(scene: Scene, columns: Columns, config: Config) -> Iterator[Row]:
    """Yield the labeled windows of one scene as annotations with embeddings.

    Args:
        scene: what happened.
        columns: its crops, with `embedding` (N, D).
        config: classes, and the windows' length and stride.
    """
    video_id = f"sim_{scene.seed:09d}"
    for clip, label in labeled_windows(scene, video_id, config.clips, config.normal_class):
        inside = (columns["time_s"] >= clip.start_s) & (columns["time_s"] < clip.end_s)
        if label in config.classes and inside.any():
            own = {name: values[inside] for name, values in columns.items()}
            yield _row(clip, config.classes.index(label), scene, own)


def _row(clip: Clip, label: int, scene: Scene, columns: Columns) -> Row:
    """Return one window; it has no skeletons."""
    size = (scene.height, scene.width)
    return {
        "frame_dir": clip.clip_id, "video_id": clip.video_id, "group": clip.video_id,
        "label": label, "img_shape": size, "original_shape": size, "total_frames": 1,
        "keypoint": np.zeros((0, 1, JOINTS, 2), np.float32),
        "keypoint_score": np.zeros((0, 1, JOINTS), np.float32),
        "duration_s": clip.end_s - clip.start_s, "clip": CLIP,
        "start_s": clip.start_s, "end_s": clip.end_s,
        "token_time_s": columns["time_s"],
        "token_track": columns["track"].astype(np.int32),
        "token_label": columns["shown"].astype(np.int16),
        "embedding": columns["embedding"],
    }  # fmt: skip


def rows_of(path: Path, clip: clip_network.Clip, config: Config) -> list[Row]:
    """Return the windows of all scenes of a `crops.npz`."""
    with np.load(path, allow_pickle=False) as found:
        names = ("time_s", "track", "shown", "scene")
        columns = {name: found[name] for name in names} | {"embedding": embed(found["crops"], clip)}
    rows: list[Row] = []
    for seed in np.unique(columns["scene"]).tolist():
        own = {name: values[columns["scene"] == seed] for name, values in columns.items()}
        room = seed - seed % SCENES_PER_ROOM
        scene = make_scene(seed, scene_seed=room, camera_seed=room)
        rows += windows(scene, mistaken(own, np.random.default_rng([seed, 41])), config)
    return rows


def collect(crops: Path, clip: Path, config: Config, out: Path) -> Path:
    """Write the annotation files of the scenes in `crops`; return the first one's path.

    Args:
        crops: folder of `{train,val}_film*/crops.npz`.
        clip: weights of the demo's CLIP.
        config: classes and windows.
        out: an existing folder.
    """
    network = clip_network.load(clip, "demo")
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    rows: list[Row] = []
    for path in sorted(crops.glob("*_film*/crops.npz")):
        found = rows_of(path, network, config)
        splits[path.parent.name.split("_")[0]] += [str(row["frame_dir"]) for row in found]
        rows += found
    write_annotations(out / ANNOTATIONS, splits, rows)
    write_annotations(out / EMBEDDINGS, splits, rows)
    return out / ANNOTATIONS
