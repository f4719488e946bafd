"""Make the demo's synthetic CCTV footage, its ground truth, labels, events and scene table."""

from __future__ import annotations

import argparse
import json

from vigil.command import run
from vigil.config import Config
from vigil.demo.footage import make_footage
from vigil.demo.labels import label_windows, read_truth, video_events
from vigil.paths import Paths
from vigil.schema import write_events, write_groups, write_labels


def main(config: Config, paths: Paths, _: argparse.Namespace) -> None:
    """Render the videos and publish the labels and events that follow from their ground truth."""
    folder = paths.root / config.footage.folder
    count = config.footage.n_videos
    print(f"footage: rendering {count} synthetic videos into {config.footage.folder}", flush=True)
    manifest = make_footage(folder, count, config.footage.seed, config.workers or None)
    videos = json.loads(manifest.read_text("utf-8"))["videos"]
    write_groups(folder / "groups.csv", {v["video_id"]: f"scene {v['scene']}" for v in videos})
    truths = [read_truth(folder / "ground_truth" / f"{v['video_id']}.json.gz") for v in videos]
    labels = [
        label
        for truth in truths
        for label in label_windows(truth, config.clips, config.normal_class)
    ]
    events = [event for truth in truths for event in video_events(truth, config.normal_class)]
    write_events(folder / "events.csv", events)
    write_labels(folder / "labels.csv", labels)
    print(f"footage: {len(videos)} videos, {len(labels)} labeled windows, {len(events)} events")


if __name__ == "__main__":
    run(main, __doc__)
