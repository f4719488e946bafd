"""Hand-made skeletons: two classes that differ by how fast a person moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config, load
from vigil.dataset import write_annotations
from vigil.schema import Skeletons
from vigil.splits import Item, make_splits

STANDING = np.array(
    [[0, -90], [-4, -94], [4, -94], [-8, -92], [8, -92], [-18, -75], [18, -75], [-24, -50],
     [24, -50], [-26, -28], [26, -28], [-12, -25], [12, -25], [-13, 10], [13, 10], [-14, 45],
     [14, 45]], np.float32,
)  # fmt: skip
CLASSES = ("normal", "assault")


def person(
    frames: int, speed: float, rng: np.random.Generator, at: tuple[float, float] = (300.0, 200.0)
) -> NDArray[np.float32]:
    """Return (frames, 17, 2) pixels of one who swings the arms at `speed` radians per frame."""
    swing = 40.0 * np.sin(np.arange(frames) * speed + rng.uniform(0, 6.3))
    joints = np.tile(STANDING, (frames, 1, 1)) + np.array(at, np.float32)
    joints[:, 7:11, 0] += swing[:, None]
    joints += rng.normal(0, 0.5, joints.shape)
    return joints.astype(np.float32)


def annotation(index: int, label: int, frames: int = 24) -> dict[str, Any]:
    """Return one clip with two persons; class 1 swings fast."""
    rng = np.random.default_rng(index)
    speed = 1.2 if label else 0.1
    people = [person(frames, speed, rng, (150.0 + 120 * i, 200.0)) for i in range(2)]
    return {
        "frame_dir": f"v{index // 2}@{index % 2}",
        "label": label,
        "img_shape": (360, 640),
        "original_shape": (360, 640),
        "total_frames": frames,
        "keypoint": np.stack(people),
        "keypoint_score": np.ones((2, frames, 17), np.float32),
        "video_id": f"v{index // 2}",
        "group": f"g{index // 4}",
        "duration_s": 2.0,
    }


def write_set(path: Path, count: int = 24, folds: int = 0) -> list[dict[str, Any]]:
    """Write an annotation file of `count` clips with alternating classes."""
    rows = [annotation(i, i % 2) for i in range(count)]
    items = [Item(r["frame_dir"], r["video_id"], r["group"], r["label"]) for r in rows]
    write_annotations(path, make_splits(items, (0.5, 0.2, 0.3), folds, 0), rows)
    return rows


def config(**train: Any) -> Config:
    """Return the shipped parameters, narrowed so that a training takes seconds."""
    values = load(Path(__file__).parent.parent / "params.yaml")[0].model_dump()
    values["classes"] = CLASSES
    values["recognizers"], values["fusions"], values["export"]["crops"] = ["protogcn"], {}, []
    values["dataset"] |= {"clip_len": 16, "max_persons": 2, "folds": 0}
    gru = values["models"].pop("clip_gru")
    networks = (e for name, e in values["models"].items() if name != "kinematics")
    for entry in networks:
        entry |= {"base_channels": 8, "stages": [1], "layout": "coco", "stream": "jm"}
    values["models"]["clip_gru"] = gru | {"dim": 16, "hidden": 16, "max_sequences": 12}
    values["models"]["posec3d"] |= {"stream": "j", "heatmap_size": 16}
    values["train"] = {"all": values["train"]["all"]}  # the shipped weights are of another width
    values["train"]["all"] |= {"epochs": 2, "batch_size": 6, "warmup_epochs": 0, **train}
    values["evaluate"] |= {"bootstrap": 100}
    values["export"] |= {"max_batch": 9}
    return Config.model_validate(values)


def skeletons(
    video_id: str, tracks: dict[int, NDArray[np.float32]], fps: float = 12.0
) -> Skeletons:
    """Return a video's skeletons from (frames, 17, 2) joints per track id; NaN is missing."""
    rows = [
        (frame, track, joints[frame])
        for track, joints in tracks.items()
        for frame in range(len(joints))
    ]
    rows.sort(key=lambda row: row[:2])
    frame = np.array([row[0] for row in rows], np.int32)
    points = np.stack([row[2] for row in rows]).astype(np.float32)
    return Skeletons(
        video_id, 640, 360, frame, frame / fps, np.array([row[1] for row in rows], np.int32),
        points.reshape(len(rows), 34), np.isfinite(points).all(-1).astype(np.float32),
    )  # fmt: skip
