"""Pretrain the demo's CLIP-GRU on crops of simulated scenes, before it sees any footage.

    python -m vigil.demo.train_clip_gru --crops DIR --clip FILE --out DIR --epochs N

`--crops` holds `train*/crops.npz` and `val/crops.npz` that look at scenes several times a second
(`vigil.demo.clip_data --every 0.2`), `--clip` is the CLIP whose vectors are read. The network is
the one of `models.clip_gru` in `params.yaml`; the training is the ordinary one, and a killed run
goes on from its last epoch when started again. DIR gets annotations, `clip_gru.safetensors`
and `metrics.json` (of the held-out scenes).
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vigil.clips import propose_clips
from vigil.config import Config, load
from vigil.dataset import ANNOTATIONS, EMBEDDINGS, read_annotations, select, write_annotations
from vigil.demo.clip_data import SCENES_PER_ROOM
from vigil.demo.labels import label_windows
from vigil.demo.world.scenes import Scene, make_scene
from vigil.evaluation import measure, predict
from vigil.evaluation.scores import scores_of
from vigil.perception import clip_network
from vigil.schema import Timeline, Tracks
from vigil.training import train

_NAME: Final = "clip_gru"
_CLIP: Final = "demo/clip"
_BATCH: Final = 64
_MISSED: Final = 0.06  # share of crops that a detector misses
_EXCHANGED: Final = 0.25  # share of scenes in which a tracker exchanges two people
_LOG = logging.getLogger(__name__)

Columns = dict[str, NDArray[Any]]
Row = dict[str, Any]


def pretraining(config: Config, epochs: int, init: str, lr: float) -> Config:
    """Return the parameters of the pretraining: the demo's network, a longer schedule."""
    values = config.model_dump()
    values["dataset"]["folds"] = 0
    values["train"] = {
        "all": config.train["all"]
        | config.train.get(_NAME, {})
        | {"epochs": epochs, "batch_size": 32, "warmup_epochs": 1, "ema_momentum": 0.005,
           "select": "last", "init": init, "lr": lr}
    }  # fmt: skip
    return Config.model_validate(values)


def embed(crops: NDArray[np.uint8], clip: clip_network.Clip) -> NDArray[np.float16]:
    """Return the (N, D) vectors, of length 1, of (N, S, S, 3) crops."""
    graph = clip_network.ImageGraph(clip, crops.shape[1]).eval()
    with torch.inference_mode():
        parts = [graph(torch.from_numpy(crops[start : start + _BATCH])).numpy()
                 for start in range(0, len(crops), _BATCH)]  # fmt: skip
    return np.concatenate(parts).astype(np.float16)


def windows(scene: Scene, columns: Columns, config: Config) -> Iterator[Row]:
    """Yield the labeled windows of one scene as annotations with embeddings.

    Args:
        scene: what happened.
        columns: its crops as `vigil.demo.clip_data` describes them, with `embedding` (N, D).
        config: classes, and the windows' length and stride.
    """
    video_id = f"sim_{scene.seed:09d}"
    head = (video_id, scene.width, scene.height)
    timeline = Timeline(*head, np.arange(scene.n_frames) / scene.fps)
    none = np.zeros(0, np.int32)
    nobody = Tracks(*head, none, np.zeros(0), none, np.zeros((0, 4), np.float32), np.zeros(0, np.float32))  # fmt: skip  # noqa: E501
    truth = {"video_id": video_id, "width": scene.width, "height": scene.height,
             "fps": scene.fps, "n_frames": scene.n_frames,
             "events": [asdict(event) for event in scene.events]}  # fmt: skip
    named = label_windows(truth, config.clips, config.normal_class)
    names = {label.clip_id: label.label for label in named}
    for clip in propose_clips(timeline, nobody, config.clips):
        if names.get(clip.clip_id) not in config.classes:
            continue
        inside = (columns["time_s"] >= clip.start_s) & (columns["time_s"] < clip.end_s)
        yield {
            "frame_dir": clip.clip_id, "video_id": video_id, "group": video_id,
            "label": list(config.classes).index(names[clip.clip_id]),
            "img_shape": (scene.height, scene.width),
            "original_shape": (scene.height, scene.width), "total_frames": 1,
            "keypoint": np.zeros((0, 1, 17, 2), np.float32),
            "keypoint_score": np.zeros((0, 1, 17), np.float32),
            "duration_s": clip.end_s - clip.start_s,
            "clip": _CLIP, "start_s": clip.start_s, "end_s": clip.end_s,
            "token_time_s": columns["time_s"][inside],
            "token_track": columns["track"][inside].astype(np.int32),
            "token_label": columns["shown"][inside].astype(np.int16),
            "embedding": columns["embedding"][inside],
        }  # fmt: skip


def mistaken(columns: Columns, rng: np.random.Generator) -> Columns:
    """Return one scene's crops with a detector's gaps and, sometimes, a tracker's exchange."""
    found = rng.random(len(columns["time_s"])) >= _MISSED
    found |= columns["track"][:, 0] < 0
    columns = {name: values[found] for name, values in columns.items()}
    people = np.unique(columns["track"][columns["track"] >= 0])
    if len(people) < 2 or rng.random() >= _EXCHANGED:
        return columns
    one, two = rng.choice(people, 2, replace=False)
    track = columns["track"].copy()
    later = columns["time_s"] >= rng.uniform(columns["time_s"].min(), columns["time_s"].max())
    was_one, was_two = (columns["track"] == one) & later[:, None], (columns["track"] == two) & later[:, None]  # fmt: skip  # noqa: E501
    track[was_one], track[was_two] = two, one
    pair = track[:, 1] >= 0
    track[pair] = np.sort(track[pair], axis=1)
    return columns | {"track": track}


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
    """Write the annotation files of the pretraining; return the first one's path."""
    network = clip_network.load(clip, "demo")
    splits: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    rows: list[Row] = []
    for path in sorted(crops.glob("*/crops.npz")):
        found = rows_of(path, network, config)
        part = "val" if path.parent.name.startswith("val") else "train"
        splits[part] += [row["frame_dir"] for row in found]
        rows += found
        _LOG.info("%s: %d windows", path.parent.name, len(found))
    write_annotations(out / ANNOTATIONS, splits, rows)
    write_annotations(out / EMBEDDINGS, splits, rows)
    return out / ANNOTATIONS


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Pretrain the demo's CLIP-GRU.")
    parser.add_argument("--crops", type=Path, required=True, help="folder with train*/ and val/")
    parser.add_argument("--clip", type=Path, required=True, help="weights of the demo's CLIP")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--epochs", type=int, default=12, help="passes over the windows")
    parser.add_argument("--init", default="", help="weights to begin with")
    parser.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger(__name__).setLevel(logging.INFO)
    torch.set_num_threads(1)
    config = pretraining(load(options.params)[0], options.epochs, options.init, options.lr)
    options.out.mkdir(parents=True, exist_ok=True)
    annotations = options.out / ANNOTATIONS
    if not annotations.is_file():
        collect(options.crops, options.clip, config, options.out)
    train(_NAME, config, annotations, options.out / "model", options.out / "work")
    shutil.copyfile(
        options.out / "model" / "model.safetensors", options.out / f"{_NAME}.safetensors"
    )
    splits, rows = read_annotations(annotations)
    held_out = select(splits, rows, "val")
    scores = scores_of(held_out, predict(options.out / "model", held_out))
    metrics = measure(scores, config.classes, config.normal_class, config.evaluate)
    found = {"n": len(held_out), "scenes": len(set(scores.videos)), "metrics": metrics}
    (options.out / "metrics.json").write_text(json.dumps(found, indent=2) + "\n")
    _LOG.info("%s", json.dumps(found))


if __name__ == "__main__":
    main()
