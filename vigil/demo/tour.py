"""The end of the demo: one annotated video per class, with what the server said of it."""

from __future__ import annotations

from pathlib import Path

from vigil.config import Config
from vigil.demo.showcase import Verdict, annotate
from vigil.errors import InputError
from vigil.paths import Paths
from vigil.schema import Clip, Skeletons, Tracks, read_clips
from vigil.serving.trial import Answers
from vigil.video import list_videos


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
