"""The windows of a synthetic scene with what a careful annotator would say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vigil.clips import propose_clips
from vigil.config import ClipsSection
from vigil.dataset import annotation
from vigil.demo.labels import label_windows
from vigil.demo.world.scenes import Scene
from vigil.schema import Clip, Skeletons, Timeline, Tracks


def labeled_windows(
    scene: Scene, video_id: str, clips: ClipsSection, normal: str
) -> list[tuple[Clip, str]]:
    """Return the windows of a scene that are clear, each with its class.

    Args:
        scene: what happens.
        video_id: what the scene is called.
        clips: window length and stride.
        normal: the class of windows without an event.
    """
    head, none = (video_id, scene.width, scene.height), np.zeros(0, np.int32)
    nobody = Tracks(*head, none, np.zeros(0), none, np.zeros((0, 4), np.float32),
                    np.zeros(0, np.float32))  # fmt: skip
    truth = {"video_id": video_id, "width": scene.width, "height": scene.height,
             "fps": scene.fps, "n_frames": scene.n_frames,
             "events": [asdict(event) for event in scene.events]}  # fmt: skip
    names = {label.clip_id: label.label for label in label_windows(truth, clips, normal)}
    proposed = propose_clips(timeline(scene, video_id), nobody, clips)
    return [(clip, names[clip.clip_id]) for clip in proposed if clip.clip_id in names]


def skeleton_windows(
    scene: Scene, found: Skeletons, clips: ClipsSection, classes: Sequence[str], normal: str
) -> list[dict[str, Any]]:
    """Return a scene's labeled windows as annotations of `vigil.dataset`.

    Args:
        scene: what happens.
        found: the skeletons of its people; none: no windows.
        clips: window length and stride.
        classes: windows of any other are left out.
        normal: the class of windows without an event.
    """
    if not len(found.frame):
        return []
    name = found.video_id
    when = timeline(scene, name)
    return [
        annotation(clip, list(classes).index(label), name, found, when)
        for clip, label in labeled_windows(scene, name, clips, normal)
        if label in classes
    ]


def timeline(scene: Scene, video_id: str) -> Timeline:
    """Return when each frame of a scene is shown."""
    times = np.arange(scene.n_frames) / scene.fps
    return Timeline(video_id, scene.width, scene.height, times)
