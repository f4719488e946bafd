"""A project of made-up videos with everything that frame scores are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.embeddings import CLIP, DIM, FPS, FRAME, Who, embeddings, timeline
from tests.skeletons import config, person, skeletons
from vigil.config import Config, load
from vigil.dataset import build
from vigil.paths import Paths
from vigil.schema import (
    Clip,
    Event,
    Label,
    Tracks,
    clip_id,
    write_clips,
    write_events,
    write_groups,
    write_labels,
)
from vigil.tokens import Sources, build_tokens
from vigil.zero_shot import ZeroShot

SECONDS, VIDEOS, EVERY = 8, 15, 3
START_S, END_S = 2.0, 6.0  # of the assault in every second video
CALM: Who = (1, -1)
ACTOR: Who = (2, -1)


def asked(strength: float = 0.02) -> ZeroShot:
    """Return classes in words; at the usual strength noise hides most of what they ask for."""
    vectors = np.zeros((2, DIM), np.float32)
    vectors[0, 6] = vectors[1, 5] = 1.0
    vectors[1, 1] = strength
    return ZeroShot(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 20.0, 0, CLIP)


def shown(index: int, look: int) -> dict[Who, int]:
    """Return what a look at a video shows: the actor acts in the event, and nobody stays."""
    second = look * EVERY / FPS
    if second >= SECONDS - 1:
        return {FRAME: 0}
    acts = index % 2 == 1 and START_S <= second < END_S
    return {FRAME: 0, CALM: 0, ACTOR: int(acts)}


def make(root: Path, **changed: Any) -> tuple[Config, Paths]:
    """Write a project below `root`; `changed` is laid over the section `frames`."""
    values = config(epochs=12).model_dump(mode="json")
    values["models"]["clip_gru"] |= {"dim": DIM, "crops": ["person"], "span_s": 1.0}
    values["models"]["clip_gru"] |= {"stride_s": 0.5, "length": 4}
    values["train"]["clip_gru"] = {"optimizer": "adamw", "lr": 0.01}
    values["recognizers"] = ["clip_gru"]
    values["clips"] |= {"length_s": 2.0, "stride_s": 1.0, "min_length_s": 2.0}
    values["dataset"]["split"] = [0.5, 0.2, 0.3]
    values["paths"] |= {"events": "events.csv", "videos": "videos", "labels": "labels.csv"}
    values["paths"] |= {"groups": "groups.csv"}
    values["frames"] |= {"ground_truth": "", **changed}
    (root / "params.yaml").write_text(yaml.safe_dump(values), "utf-8")
    cfg, paths = load(root / "params.yaml")
    clips: list[Clip] = []
    names = [f"v{index:02d}" for index in range(VIDEOS)]
    for index, name in enumerate(names):
        _video(index, name, paths)
        clips += [Clip(clip_id(name, s, s + 2), name, s, s + 2.0, s * 12, s * 12 + 24, 2)
                  for s in range(SECONDS - 1)]  # fmt: skip
    events = [Event(name, "assault", START_S, END_S, (2,)) for name in names[1::2]]
    write_events(root / "events.csv", events)
    write_clips(paths.clips, clips)
    eventful = {event.video_id for event in events}
    labels = [
        Label(c.clip_id, "assault" if c.video_id in eventful and 1 < c.start_s < 6 else "normal",
              "ann", "")
        for c in clips
    ]  # fmt: skip
    write_labels(paths.labels, labels)
    groups = {name: f"room {index // 2}" for index, name in enumerate(names)}
    write_groups(paths.groups, groups)
    sources = {n: (paths.skeletons / f"{n}.parquet", paths.timelines / f"{n}.parquet")
               for n in names}  # fmt: skip
    build(paths.dataset, clips, labels, groups, sources, cfg.classes, cfg.dataset)
    tables = {n: Sources(paths.embeddings / f"{n}.parquet", paths.tracks / f"{n}.parquet")
              for n in names}  # fmt: skip
    build_tokens(paths.dataset, clips, tables, events, cfg.classes, 0)
    return cfg, paths


def _video(index: int, name: str, paths: Paths) -> None:
    looks = [shown(index, look) for look in range(int(SECONDS * FPS) // EVERY)]
    table = embeddings(looks, name, EVERY)
    table.write(paths.embeddings / f"{name}.parquet")
    line = timeline(name, int(SECONDS * FPS))
    line.write(paths.timelines / f"{name}.parquet")
    seen = table.track_id >= 0
    box = table.xyxy[seen] + 20 * table.track_id[seen, None].astype(np.float32)
    Tracks(name, 640, 360, table.frame[seen], table.time_s[seen], table.track_id[seen], box,
           np.ones(seen.sum(), np.float32)).write(paths.tracks / f"{name}.parquet")  # fmt: skip
    rng = np.random.default_rng(index)
    joints = person(int(SECONDS * FPS), 1.2 if index % 2 else 0.1, rng)
    skeletons(name, {1: joints}).write(paths.skeletons / f"{name}.parquet")
