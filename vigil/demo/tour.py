"""The end of the demo: ask the real server about clips it has never seen, and show the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vigil.config import Config
from vigil.dataset import read_annotations, select, tensors
from vigil.demo.showcase import Verdict, annotate
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Clip, Skeletons, Tracks, read_clips
from vigil.serving.client import Prediction, RecognizerClient
from vigil.session import TransportName
from vigil.video import list_videos


@dataclass(frozen=True)
class Answers:
    """What the server said of the test clips.

    Attributes:
        clip_ids: N clips of the test split.
        truth: N class names that people (or the ground truth) gave.
        predictions: N answers over gRPC.
        agree: largest difference of a probability between HTTP and gRPC.
    """

    clip_ids: list[str]
    truth: list[str]
    predictions: list[Prediction]
    agree: float

    @property
    def right(self) -> int:
        """How many predicted classes are the labeled ones."""
        pairs = zip(self.predictions, self.truth, strict=True)
        return sum(said.label == truth for said, truth in pairs)


def ask(config: Config, paths: Paths, model: str, urls: dict[TransportName, str]) -> Answers:
    """Ask a running server about every test clip over HTTP and over gRPC.

    Args:
        config: all parameters.
        paths: of the project.
        model: name of the served recognizer.
        urls: `host:port` by protocol.

    Raises:
        InputError: there is no test split.
        ServerError: the server refuses or does not answer.
    """
    splits, rows = read_annotations(paths.dataset / "annotations.pkl")
    chosen = select(splits, rows, "test")
    keypoints, sizes, labels = tensors(chosen, config.dataset)
    answers: dict[TransportName, list[Prediction]] = {}
    for protocol, url in urls.items():
        client = RecognizerClient(url, protocol, model)
        most = config.export.max_batch
        answers[protocol] = [
            said
            for start in range(0, len(labels), most)
            for said in client.predict(keypoints[start : start + most], sizes[start : start + most])
        ]
    http, grpc = (_matrix(answers[name]) for name in ("http", "grpc"))
    return Answers(
        [str(row["frame_dir"]) for row in chosen],
        [config.classes[int(label)] for label in labels],
        answers["grpc"],
        float(np.abs(http - grpc).max()),
    )


def _matrix(predictions: Sequence[Prediction]) -> np.ndarray[Any, Any]:
    return np.array([list(said.probabilities.values()) for said in predictions])


def show(config: Config, paths: Paths, answers: Answers, out: Path) -> list[Path]:
    """Write one annotated test video per class into `out`; return the files.

    For each class the video is the one with the most test clips of that class.

    Raises:
        InputError: a video cannot be decoded.
    """
    clips = {clip.clip_id: clip for clip in read_clips(paths.clips)}
    videos = {path.stem: path for path in list_videos(paths.videos)}
    made: dict[str, Path] = {}
    for label in config.classes:
        video_id = _busiest(answers, clips, label, set(made))
        if video_id is None:
            continue
        made[video_id] = out / f"{label}.mp4"
        out.mkdir(parents=True, exist_ok=True)
        annotate(
            videos[video_id],
            Tracks.read(paths.tracks / f"{video_id}.parquet"),
            Skeletons.read(paths.skeletons / f"{video_id}.parquet"),
            _verdicts(config, answers, clips, video_id),
            made[video_id],
        )
    if not made:
        raise InputError("demo: expected test clips to show, got none")
    return list(made.values())


def _busiest(answers: Answers, clips: dict[str, Clip], label: str, taken: set[str]) -> str | None:
    counts: dict[str, int] = {}
    for clip_id, truth in zip(answers.clip_ids, answers.truth, strict=True):
        video_id = clips[clip_id].video_id
        if truth == label and video_id not in taken:
            counts[video_id] = counts.get(video_id, 0) + 1
    return max(sorted(counts), key=lambda video_id: counts[video_id], default=None)


def _verdicts(
    config: Config, answers: Answers, clips: dict[str, Clip], video_id: str
) -> list[Verdict]:
    found = []
    rows = zip(answers.clip_ids, answers.truth, answers.predictions, strict=True)
    for clip_id, truth, said in rows:
        clip = clips[clip_id]
        if clip.video_id == video_id:
            alarm = said.label != config.normal_class
            probability = said.probabilities[said.label]
            found.append(Verdict(clip.start_s, clip.end_s, said.label, probability, alarm, truth))
    return found
