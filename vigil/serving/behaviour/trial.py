"""Show a running server the pixels of a test clip, and hold its answer against the stages'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.config import Config
from vigil.errors import ServerError
from vigil.paths import Paths
from vigil.perception.smoothing import REACH
from vigil.schema import Clip, read_clips
from vigil.serving.behaviour.spec import FILE, BehaviourSpec, read_spec
from vigil.serving.client import Client
from vigil.serving.trial import Answers
from vigil.video import decode, list_videos


@dataclass(frozen=True)
class Watched:
    """What one call said of one test clip.

    Attributes:
        clip_id: the clip.
        frames: how many were sent.
        people: who was seen in it.
        label: class that the recognizer finds most probable.
        probability: of that class, in [0, 1].
        difference: largest difference of a probability to what the recognizer said of the skeletons
            that the stages made of the same clip.
    """

    clip_id: str
    frames: int
    people: int
    label: str
    probability: float
    difference: float

    def __str__(self) -> str:
        """Return one line for people."""
        return (
            f"{self.frames} frames of {self.clip_id} in one call: {self.people} people, "
            f"{self.label} {self.probability:.2f}; within {self.difference:.0e} of the stages"
        )


def models_of(name: str, paths: Paths) -> list[str]:
    """Return the served models that the model `name` from pixels to behavior needs, itself last."""
    spec = _spec(name, paths)
    networks = [one.model for one in (spec.find, spec.pose, spec.clip) if one]
    return [*networks, *spec.names, name]


def watch(config: Config, paths: Paths, name: str, url: str, answers: Answers) -> Watched:
    """Send the frames of the first window of a test video, the most eventful one.

    Args:
        config: all parameters.
        paths: of the project.
        name: an entry of `behaviours`, served.
        url: `host:port` of the server's gRPC endpoint.
        answers: what the recognizer `benchmark.model` said of the test clips.

    Raises:
        ServerError: the server refuses, does not answer, or gives no answer to the window.
    """
    spec, judge = _spec(name, paths), config.benchmark.model
    clip, said = _eventful(config, paths, answers)
    video = next(path for path in list_videos(paths.videos) if path.stem == clip.video_id)
    until_s = clip.end_s + REACH * config.skeletons.smooth_s
    frames, times = [], []
    for frame in decode(video):
        frames.append(frame.rgb)
        times.append(frame.time_s)
        if frame.time_s >= until_s:
            break
    with Client(url, timeout_s=300.0) as client:
        found = client.behaviour(np.stack(frames), times, name)
    at = np.flatnonzero(np.isclose(found.clip_s[:, 0], clip.start_s))
    if not len(at):
        raise ServerError(f"{name}: expected an answer to {clip.clip_id}, got none")
    row = found.clip_probabilities[at[0], spec.names.index(judge)]
    return Watched(
        clip.clip_id,
        len(frames),
        int((found.person_clip == at[0]).sum()),
        spec.classes[int(row.argmax())],
        float(row.max()),
        float(np.abs(row - said).max()),
    )


def _spec(name: str, paths: Paths) -> BehaviourSpec:
    return read_spec(paths.triton_repo / name / "1" / FILE)


def _eventful(config: Config, paths: Paths, answers: Answers) -> tuple[Clip, NDArray[np.float32]]:
    """Return the first window of the video that looks least normal, and what was said of it."""
    clips = {clip.clip_id: clip for clip in read_clips(paths.clips) if clip.start_s == 0}
    said = {
        clip_id: np.array(list(one.probabilities.values()), np.float32)
        for clip_id, one in zip(answers.clip_ids, answers.predictions, strict=True)
        if clip_id in clips
    }
    if not said:
        raise ServerError("watch: expected a test clip that begins its video, got none")
    normal = config.classes.index(config.normal_class)
    chosen = min(said, key=lambda clip_id: (float(said[clip_id][normal]), clip_id))
    return clips[chosen], said[chosen]
